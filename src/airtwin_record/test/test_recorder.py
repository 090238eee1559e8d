# SPDX-License-Identifier: Apache-2.0
"""A recorder that is started again loses nothing of what it wrote before."""

from airtwin_record.node import keep_earlier


def test_a_recording_is_never_overwritten(tmp_path):
    path = tmp_path / "flight.mcap"
    assert keep_earlier(path) is None
    for part in ("first", "second"):
        path.write_text(part)
        assert keep_earlier(path) is not None
        assert not path.exists()
    assert (tmp_path / "flight.1.mcap").read_text() == "first"
    assert (tmp_path / "flight.2.mcap").read_text() == "second"
