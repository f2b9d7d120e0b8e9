"""The families of models, and what they are trained and served with."""
