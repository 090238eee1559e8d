# SPDX-License-Identifier: Apache-2.0
"""Zone documents: national feeds and standards' examples, and what an enemy would send."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_airspace.altitude import Altitude, Datum, DatumMismatch, Reference
from airtwin_airspace.outline import BadOutline, check
from airtwin_airspace.zone_files import BadZoneFile, ZoneFile, parse
from airtwin_airspace.zones import Circle, DailyPeriod, Day, Outline, Period, Restriction

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "config" / "airspace").is_dir())
GEO = ROOT.parent / "shared" / "data" / "geo"
FILES = [
    path
    for folder in ("interuss", "national_shape_samples", "ed318/examples")
    for path in sorted((GEO / folder).glob("*.json"))
]
REFUSED = {
    "PartialExample_GeoZoneProperties.json": "neither 'UASZoneList'",
    "PartialExample_TimePeriod.json": "neither 'UASZoneList'",
    "PartialExample_ZoneAuthority.json": "neither 'UASZoneList'",
    "dronezoner-dk.json": "zone #2: a point without a radius encloses nothing",
}
needs_shared = pytest.mark.skipif(not FILES, reason="no zone files beside the project")


def utc_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1e9)


def shared(name: str, **options: bool) -> ZoneFile:
    (path,) = [path for path in FILES if path.name == name]
    return parse(path.read_bytes(), **options)


def document(**changes: Any) -> dict[str, Any]:
    """Return a small valid ED-269 document whose only zone has ``changes``."""
    zone = {
        "identifier": "T1",
        "country": "CHE",
        "name": "test",
        "type": "COMMON",
        "restriction": "PROHIBITED",
        "applicability": [{"permanent": "YES"}],
        "geometry": [
            {
                "uomDimensions": "M",
                "lowerLimit": 0,
                "lowerVerticalReference": "AGL",
                "upperLimit": 120,
                "upperVerticalReference": "AGL",
                "horizontalProjection": {
                    "type": "Polygon",
                    "coordinates": [[[8.0, 47.0], [8.1, 47.0], [8.1, 47.1], [8.0, 47.0]]],
                },
            }
        ],
    }
    return {"features": [{**zone, **changes}]}


def parsed(**changes: Any) -> ZoneFile:
    return parse(json.dumps(document(**changes)).encode())


def shaped(**changes: Any) -> dict[str, Any]:
    """Return the ``geometry`` of ``document`` with ``changes`` in its only part."""
    part = document()["features"][0]["geometry"][0]
    return {"geometry": [{**part, **changes}]}


@needs_shared
def test_all_files_are_there() -> None:
    assert len(FILES) == 20


@needs_shared
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_shared_file_is_read_or_refused_in_one_sentence(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(BadZoneFile, match=REFUSED[path.name]) as refusal:
            parse(path.read_bytes())
        assert "\n" not in str(refusal.value)
        return
    file = parse(path.read_bytes())
    assert file.zones
    check(file.zones)


@needs_shared
def test_counts_by_hand() -> None:
    counts = {
        "geo-awareness-che-1.json": 6,
        "cis_source_sample_ed318.json": 3,
        "ed269-ch.json": 4,
        "ed269-fi.json": 2,
        "ed269-lu.json": 2,
        "ed318-ie.json": 4,
        "ed318-se.json": 3,
        "eans-ee.json": 5,
        "faa-uasfm.json": 2,
    }
    assert {name: len(shared(name).zones) for name in counts} == counts


@needs_shared
def test_the_byte_order_mark_and_the_sentinel() -> None:
    assert shared("ed269-lu.json").zones[0].identifier == "LU-P-001"
    capless = shared("ed269-ch.json").zones[0].volumes[0]
    assert capless.upper is None
    assert capless.lower == Altitude(0.0, Datum.AGL)


@needs_shared
def test_limits_that_are_not_stated_are_no_limits_and_said() -> None:
    file = shared("ed269-fi.json")
    park = file.zones[1].volumes[0]
    assert (park.lower, park.upper) == (None, None)
    assert any("FI-N-KESKUSPUISTO: 'upperLimit' is not stated" in r for r in file.remarks)


@needs_shared
def test_feet_become_metres_and_datums_stay() -> None:
    zone = shared("ed318-ie.json").zones[0]
    assert zone.restriction is Restriction.REQ_AUTHORISATION
    assert zone.volumes[0].upper == Altitude(2500 * 0.3048, Datum.AMSL)
    assert zone.volumes[0].lower == Altitude(0.0, Datum.AGL)
    (shape,) = zone.volumes[0].shapes
    assert isinstance(shape, Outline)
    assert len(shape.holes) == 1


@needs_shared
def test_circles_of_both_standards() -> None:
    (shape,) = shared("geo-awareness-che-1.json").zones[0].volumes[0].shapes
    assert shape == Circle(46.430758, 6.913146, 3000.0)
    (shape,) = shared("Example_GeoZone_Circle.json").zones[0].volumes[0].shapes
    assert shape == Circle(50.122901, 2.636866, 3500.0)


@needs_shared
def test_what_has_no_restriction_is_prohibited_at_every_height_and_said() -> None:
    """FAA's facility map has ceilings, but no word that says what they mean."""
    file = shared("faa-uasfm.json")
    assert {zone.restriction for zone in file.zones} == {Restriction.PROHIBITED}
    assert {(z.volumes[0].lower, z.volumes[0].upper) for z in file.zones} == {(None, None)}
    assert sum("taken as PROHIBITED" in remark for remark in file.remarks) == 2


@needs_shared
def test_a_file_is_not_read_in_part_unless_asked() -> None:
    file = shared("dronezoner-dk.json", partial=True)
    assert len(file.zones) + len(file.refused) == 11
    assert len(file.refused) == 6


# --- when ----------------------------------------------------------------------------------------


@needs_shared
def test_the_montreux_concert_is_on_weekend_evenings_of_its_year() -> None:
    concert = shared("geo-awareness-che-1.json").zones[0]

    def active(when: str) -> bool:
        return concert.active(utc_ns(when), utc_ns(when))

    assert active("2022-07-02T18:00:00")  # a Saturday
    assert not active("2022-07-02T16:59:00")
    assert not active("2022-07-04T18:00:00")  # a Monday
    assert not active("2023-07-01T18:00:00")  # a Saturday, the year after
    # a look-ahead that reaches into the evening counts
    assert concert.active(utc_ns("2022-07-02T16:59:00"), utc_ns("2022-07-02T17:01:00"))


def test_a_clock_that_is_no_utc_makes_every_zone_count() -> None:
    line = {"startDateTime": "2019-01-01T00:00:00Z", "endDateTime": "2020-01-01T00:00:00Z"}
    (zone,) = parsed(applicability=[line]).zones
    assert not zone.active(utc_ns("2026-01-01T00:00:00"), utc_ns("2026-01-01T00:00:00"))
    assert zone.active(12_000_000_000, 18_000_000_000)


@settings(deadline=None)
@given(
    st.integers(0, 86399), st.integers(0, 86400), st.integers(0, 6), st.integers(0, 7 * 24 * 60)
)
def test_daily_periods_against_the_plain_reading(
    start_s: int, end_s: int, day: int, minute: int
) -> None:
    """The period of one weekday, looked at every minute of a week that starts on a Monday."""
    period = DailyPeriod(frozenset([Day(day)]), float(start_s), float(end_s))
    monday = datetime(2026, 6, 1, tzinfo=timezone.utc)
    now = datetime.fromtimestamp(monday.timestamp() + 60 * minute, timezone.utc)
    length = end_s - start_s if end_s > start_s else end_s - start_s + 86400
    since = (60 * minute - (day * 86400 + start_s)) % (7 * 86400)
    assert period.touches(now, now) == (since <= length)


@pytest.mark.parametrize(
    "applicability",
    [
        "always",
        [7],
        [{"startDateTime": "soon"}],
        [{"startDateTime": "2020-01-01T00:00:00"}],
        [{"startDateTime": "2020-13-01T00:00:00Z"}],
        [{"startDateTime": "2021-01-01T00:00:00Z", "endDateTime": "2020-01-01T00:00:00Z"}],
        [{"startDateTime": "2019-01-01T00:00:00Z", "schedule": [{"day": ["FUNDAY"]}]}],
        [{"endDateTime": "2019-01-01T00:00:00Z", "schedule": 5}],
        [{"endDateTime": {"purposely_invalid": "no date"}}],
        [{"endDateTime": "9999-12-31T23:59:59-14:00"}],
        [{"schedule": [{"day": ["ANY"], "startTime": "25:00:00Z"}]}],
        [{"schedule": [{"day": ["ANY"], "startTime": "10:00"}]}],
    ],
)
def test_hours_that_cannot_be_read_mean_always_and_are_said(applicability: Any) -> None:
    file = parsed(applicability=applicability)
    now = utc_ns("2026-06-01T12:00:00")
    assert file.zones[0].applicability == ()
    assert file.zones[0].active(now, now)
    assert any("always counts" in remark for remark in file.remarks)


def test_permanent_wins_over_dates() -> None:
    line = {"permanent": "YES", "endDateTime": "2019-01-01T00:00:00Z"}
    assert parsed(applicability=[line]).zones[0].applicability == ()


def test_offsets_and_fractions_of_times() -> None:
    line = {
        "startDateTime": "2026-06-01T02:00:00.500+02:00",
        "endDateTime": "2026-06-30T23:59Z",
        "schedule": [{"day": ["MON"], "startTime": "01:00:00+02:00", "endTime": "24:00:00Z"}],
    }
    (period,) = parsed(applicability=[line]).zones[0].applicability
    assert period == Period(
        datetime(2026, 6, 1, 0, 0, 0, 500000, tzinfo=timezone.utc),
        datetime(2026, 6, 30, 23, 59, tzinfo=timezone.utc),
        (DailyPeriod(frozenset([Day.MON]), -3600.0, 86400.0),),
    )


def test_a_schedule_by_the_sun_counts_all_day_and_is_said() -> None:
    line = {"schedule": [{"day": ["MON"], "startEvent": "SR", "endEvent": "SS"}]}
    file = parsed(applicability=[line])
    assert file.zones[0].applicability[0].schedule == (
        DailyPeriod(frozenset([Day.MON]), 0.0, 86400.0),
    )
    assert any("follows the sun" in remark for remark in file.remarks)


# --- what and how high ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restriction", "taken"),
    [
        ("REQ_AUTHORIZATION", Restriction.REQ_AUTHORISATION),
        ("no_restriction", Restriction.NO_RESTRICTION),
        ("USPACE", Restriction.REQ_AUTHORISATION),
        ("PROHIBIT", Restriction.PROHIBITED),
        ("", Restriction.PROHIBITED),
        (None, Restriction.PROHIBITED),
        (["NO_RESTRICTION"], Restriction.PROHIBITED),
    ],
)
def test_restrictions(restriction: Any, taken: Restriction) -> None:
    assert parsed(restriction=restriction).zones[0].restriction is taken


@pytest.mark.parametrize(
    "limits",
    [
        {"upperLimit": None},
        {"upperLimit": 99999},
        {"upperLimit": "99999"},
        {"upperLimit": 120, "upperVerticalReference": "QFE"},
        {"upperLimit": 120, "upperVerticalReference": None},
        {"upperLimit": 120, "uomDimensions": "FURLONG"},
    ],
)
def test_a_limit_that_means_nothing_is_no_limit(limits: dict[str, Any]) -> None:
    file = parsed(**shaped(**limits))
    assert file.zones[0].volumes[0].upper is None


def test_limits_upside_down_count_at_every_height() -> None:
    file = parsed(**shaped(lowerLimit=200, upperLimit=100))
    assert file.zones[0].volumes[0].lower is None
    assert file.zones[0].volumes[0].upper is None
    assert any("every height" in remark for remark in file.remarks)


def test_datums_refuse_to_mix() -> None:
    with pytest.raises(DatumMismatch):
        _ = Altitude(1.0, Datum.AGL) < Altitude(2.0, Datum.AMSL)
    for altitude in (Altitude(1.0, Datum.AGL), Altitude(1.0, Datum.WGS84)):
        with pytest.raises(DatumMismatch):
            Reference().amsl_m(altitude)
    known = Reference(ground_amsl_m=488.0, geoid_m=47.5)
    assert known.amsl_m(Altitude(120.0, Datum.AGL)) == 608.0
    assert known.amsl_m(Altitude(535.5, Datum.WGS84)) == 488.0
    assert known.amsl_m(Altitude(600.0, Datum.AMSL)) == 600.0
    with pytest.raises(ValueError, match="not finite"):
        Altitude(math.nan, Datum.AMSL)


# --- hostile -------------------------------------------------------------------------------------

_ZONE = json.dumps(document()["features"][0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not JSON"),
        (b"null", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"{", "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"features": NaN}', "the number NaN"),
        (b'{"features": {}}', "is no list"),
        (b'{"features": []}', "holds no zone"),
        (b'{"features": [null]}', "zone 1 is no JSON object"),
        (b'{"features": [{}]}', "it has no geometry"),
        (b'{"features": [{"geometry": []}]}', "it has no geometry"),
        (b'{"features": [], "features": [1]}', "is there twice"),
        (b'{"features": [' + b"9" * 5000 + b"]}", "not JSON"),
        (f'{{"features": [{_ZONE}, 5]}}'.encode(), "zone 2 is no JSON object"),
    ],
)
def test_documents_that_are_none(text: bytes, says: str) -> None:
    with pytest.raises(BadZoneFile, match=says) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


def polygon(*ring: Any) -> dict[str, Any]:
    return shaped(horizontalProjection={"type": "Polygon", "coordinates": [list(ring)]})


def circle(centre: Any, radius: Any) -> dict[str, Any]:
    return shaped(horizontalProjection={"type": "Circle", "center": centre, "radius": radius})


@pytest.mark.parametrize(
    "geometry",
    [
        shaped(horizontalProjection=None),
        shaped(horizontalProjection={"type": "Polygon"}),
        shaped(horizontalProjection={"type": "Polygon", "coordinates": []}),
        shaped(horizontalProjection={"type": "LineString", "coordinates": [[8, 47], [9, 47]]}),
        shaped(horizontalProjection={"type": "MultiPolygon", "coordinates": []}),
        polygon([8, 47], [9, 47]),
        polygon([8, 47], [8, 47], [8, 47], [8, 47]),
        polygon([8, 47], [9, 47], [9, "x"]),
        polygon([8, 47], [9, 47], [9, True]),
        polygon([8, 47], [9, 47], [9, None]),
        polygon([8, 47], [9, 47], [9]),
        polygon([8, 47], [9, 47], [9, 97]),
        polygon([8, 47], [9, 47], [900, 47]),
        polygon([8, 47], [9, 47], ["nan", 48]),
        polygon([8, 47], [9, 47], ["1e999", 48]),
        circle([8, 47], 0),
        circle([8, 47], -5),
        circle([8, 47], "inf"),
        circle([8, 47], None),
        circle([8, 47], 1e7),
        circle(None, 100),
        circle([8, 97], 100),
        {"geometry": {"type": "GeometryCollection", "geometries": []}},
        {"geometry": {"type": "GeometryCollection", "geometries": [3]}},
        {"geometry": {"type": "Point", "coordinates": [8, 47]}},
        shaped(upperLimit=True),
        shaped(upperLimit="high"),
        shaped(upperLimit="nan"),
    ],
)
def test_zones_that_are_nowhere_are_refused_by_name(geometry: dict[str, Any]) -> None:
    with pytest.raises(BadZoneFile, match=r"^zone T1: "):
        parsed(**geometry)


def test_a_line_drawn_as_polygon_encloses_nothing() -> None:
    file = parsed(**polygon([8, 47], [8.1, 47.1], [8.2, 47.2], [8, 47]))
    with pytest.raises(BadOutline, match="zone T1: its polygon encloses nothing"):
        check(file.zones)


def test_numbers_of_json_that_are_not_finite() -> None:
    text = json.dumps(document(**circle([8, 47], 100))).replace("100", "1e999")
    with pytest.raises(BadZoneFile, match="not finite"):
        parse(text.encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_document_with_any_part_replaced_is_read_or_refused(data: st.DataObject) -> None:
    """Walk to a random place of a good document and put a random value there."""
    good = document()
    at: Any = good
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(json_values)
        break
    try:
        file = parse(json.dumps(good).encode())
        check(file.zones)
    except (BadZoneFile, BadOutline) as error:
        said = str(error)
    else:
        said = file.zones[0].identifier
    assert said
    assert "\n" not in said


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 600))
def test_a_damaged_document_is_read_or_refused(noise: bytes, place: int) -> None:
    text = json.dumps(document()).encode()
    try:
        said = parse(text[:place] + noise + text[place + len(noise) :]).zones[0].identifier
    except BadZoneFile as error:
        said = str(error)
    assert said
    assert "\n" not in said


def test_the_demo_file_is_clean() -> None:
    file = parse((ROOT / "config" / "airspace" / "demo_zones.json").read_bytes())
    assert {zone.restriction for zone in file.zones} == set(Restriction)
    assert file.remarks == ()
    check(file.zones)
