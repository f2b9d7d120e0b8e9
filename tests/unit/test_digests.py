"""Files of people are read again only where they changed."""

import os

from gap.run import digests
from gap.run.digests import sha256_file


def test_a_file_is_read_again_only_where_its_size_or_time_changed(tmp_path, monkeypatch):
    source, known = tmp_path / "a.csv", tmp_path / "seen.json"
    source.write_text("text,label\n")
    first = digests.file_digests([str(source)], known)
    assert first == {str(source): sha256_file(source)}
    read = []

    def read_again(path):
        read.append(path)
        return "new"

    monkeypatch.setattr(digests, "sha256_file", read_again)
    assert digests.file_digests([str(source)], known) == first
    assert read == []
    os.utime(source, ns=(1, 1))
    assert digests.file_digests([str(source)], known) == {str(source): "new"}
    assert read == [str(source)]
