"""Single mistakes in the example: `kerbstone check` finds each, at its line, and says what is
right. What it cannot see is here, too, with the reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.config import brokerchecks
from edge.config.spelling import spelling_hint

EXAMPLE = Path(__file__).parents[2] / "deploy/site.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def today(on_day: Callable[[str], None]) -> None:
    on_day("2026-06-01")


def place(latitude: str, longitude: str) -> str:
    return f"latitude = {latitude} # WGS 84\nlongitude = {longitude} "


PLACE = TEXT[TEXT.index("latitude = ") : TEXT.index("# west of")]


# what is written in place of what; and what is said, as an error (exit 2) or a warning (exit 0)
ERRORS = [
    # as it is written
    ('id = "stadtmitte"', "id = “stadtmitte”", "“ is a quote of a word processor"),
    ('id = "stadtmitte"', "id = stadtmitte", 'text stands in quotes: write "stadtmitte"'),
    ("spacing_m = 4.0", "spacing_m = 4,0", "a number has a decimal point: write 4.0"),
    ("offset = -0.4", "offset = –0.4", "the minus sign is a dash"),
    ("# raw = false", "raw = False", "write false instead of False"),
    ("# raw = false", "raw = yes", "write true instead of yes"),
    ("every_s = 5.0", 'every_s = "5.0"', "a number"),
    ("unit = 1  ", 'unit = "1"  ', "a whole number from 1 to 247"),
    ("on = 2026-03-02\ncert", 'on = "2026-03-02"\ncert', "a date such as"),
    ("[uplink]", "[uplnik]", "did you mean uplink?"),
    ("spacing_m = 4.0", "spacing = 4.0", "did you mean spacing_m?"),
    ("[store]", "[[store]]", "store"),
    ("[privacy]", "[privacy]\n[privacy]", "this table stands in the file twice"),
    ("unit = 1  ", "unit = 01  ", "a number does not begin with 0: write 1"),
    ("unit = 1  ", "unit = 1;  ", "a line ends without ;"),
    ("unit = 1  ", "unit = 1,  ", "a line ends without a comma"),
    ("unit = 1  ", "unit = \u200b1  ", "U+200B (zero width space), which nobody sees"),
    ("unit = 1  ", "un\u00adit = 1  ", "U+00AD (soft hyphen)"),
    ("unit = 1  ", "unit: 1  ", "write = between key and value"),
    ("unit = 1  ", "unit == 1  ", "write one ="),
    ("unit = 1  ", "unit =  ", "the value is missing"),
    ("unit = 1  ", "unit = 1\nunit = 1  ", "this key stands in the file twice"),
    ("every_s = 5.0", "every_s = 5.0 s", "a number stands without its unit"),
    ("every_s = 5.0", "every s = 5.0", "a key is one word"),
    ("[store]", "// where records wait\n[store]", "a remark begins with #"),
    ("[store]", "; where records wait\n[store]", "a remark begins with #"),
    ("on = 2026-03-02\ncert", "on = 2026-3-2\ncert", "write 2026-03-02"),
    ("on = 2026-03-02\ncert", "on = 02.03.2026\ncert", "begins with the year: write 2026-03-02"),
    # the site and the broker
    ('zone = "Europe/Berlin"', 'zone = "CEST"', '"Europe/Berlin"'),
    ('zone = "Europe/Berlin"', 'zone = "Europe/Berln"', "did you mean Europe/Berlin?"),
    ('id = "stadtmitte"', 'id = "Stadt Mitte"', "1 to 64 of a-z, 0-9, _ and -"),
    ('id = "stadtmitte"', 'id = "stadt.mitte"', "1 to 64 of a-z, 0-9, _ and -"),
    ('gateway = "gw-0001"', 'gateway = "gw.0001"', "1 to 64 of a-z, 0-9, _ and -"),
    ("[lane.north_1]", '[lane."north.1"]', "1 to 64 of a-z, 0-9, _ and -"),
    ("[device.kerb_dust]", '[device."kerb.dust"]', "1 to 64 of a-z, 0-9, _ and -"),
    ('name = "Bäckerei"', 'name = "Bäck\\u202Eerei"', "U+202E (right-to-left override)"),
    ('name = "Bäckerei"', 'name = "Bäckerei\u00a0"', "U+00A0 (no-break space)"),
    ('name = "Bäckerei"', 'name = "Bäckerei\\n"', "U+000A (a control character)"),
    ('name = "Bäckerei"', f'name = "{"ä" * 65}"', "65 characters, more than 64"),
    ('name = "Bäckerei"', 'name = " "', "no letter or digit"),
    ("latitude = 52.51634 ", "latitude = 152.51634 ", "not between -90.0 and 90.0"),
    ("latitude = 52.51634 ", "# ", "a position has longitude and latitude"),
    ("latitude = 52.51634 ", "latitude = 52,51634 ", "write 52.51634"),
    ("latitude = 52.51634 ", 'latitude = "52°30\'59\\"N" ', "a number from -90.0 to 90.0"),
    ("bearing_deg = 180 ", "bearing_deg = 450 ", "not between 0.0 and 360.0"),
    ("bearing_deg = 180 ", "bearing = 180 ", "did you mean bearing_deg?"),
    ("# period_s = 60 ", "period_s = 70 ", "60 and 72 would"),
    ('"mqtts://broker.example:8883"', '"broker.example:8883"', "has no scheme"),
    ('"mqtts://broker.example:8883"', '"https://broker.example:8883"', "is not known"),
    ('"mqtts://broker.example:8883"', '"mqtts://broker.example:88833"', "from 1 to 65535"),
    ('"mqtts://broker.example:8883"', '"mqtt://broker.example"', "needs a url that begins with"),
    ('key = "/etc/kerbstone/gateway.key"\n', "", "the certificate and its key go together"),
    ('confirm = "platform"', 'confirm = "plattform"', "did you mean platform?"),
    ('# username = "gw-0001"\n# password', '# username = "gw-0001"\npassword', "needs a user"),
    ('# run_dir = "/run/kerbstone"', 'run_dir = "/var/lib/kerbstone"', "as dir"),
    ('# dir = "/var/lib/kerbstone" ', 'dir = "kerbstone" ', "a path that begins with /"),
    ("# raw = false", "raw = true", "needs passages = true"),
    ('# prefix = "kerbstone/v1"', 'prefix = "kerbstone.v1"', "write kerbstone-v1, once"),
    # wires
    ('bus = "air"\nname', 'bus = "aire"\nname', "did you mean air?"),
    ('bus = "meters"\nunit', 'bus = "air"\nunit', "needs a bus of kind modbus-rtu"),
    ('kind = "i2c"', 'kind = "i2s"', "did you mean i2c?"),
    ("baud = 9600                       # as", "baud = 9601  # as", "9601 is not one of"),
    ('driver = "sdm630"', 'driver = "sdm-630"', "did you mean sdm630?"),
    ("unit = 1                          # the", "unit = 300  # the", "between 1 and 247"),
    ("unit = 1                          # the", "# ", "unit"),
    ("imp_per_kwh = 1000", "imp_per_kwh = 0", "imp_per_kwh"),
    ('trail = "GPIO27"', 'trail = "GPIO17"', "is already the line of lead"),
    ('lead = "GPIO22"', 'lead = "GPIO17"', "is used by lane.north_1.lead already"),
    ('lead = "GPIO22"', "lead = 22", "lead"),
    ('driver = "pms5003"\nbus = "dust"', 'driver = "pms5003"\nbus = "air"', "kind serial"),
    ('host = "192.0.2.20"', 'host = "http://192.0.2.20"', "a name or an address of a host"),
    ("[lane.north_2]", "[lane.hut_air]", "has this name already"),
    # lanes and bays
    ("spacing_m = 4.0                   # from", "# from", "two loops need the metres"),
    ('trail = "GPIO27"\n', "", "spacing_m is for a second loop"),
    ("spacing_m = 4.0", "spacing_m = 400.0", "between 0.5 and 50.0"),
    ("spacing_m = 4.0", "spacing_m = 1.2", "too short for a speed"),
    ('position = "stop"                 #', 'position = "stopline"  #', "stop"),
    ('approach = "bridge"', 'approach = "brigde"', "brigde"),
    ("distance_m = 220", "distance_m = 0", "between"),
    ("limit_kmh = 50", "limit_kmh = 500", "between 5.0 and 200.0"),
    ("to_m = 14.9", "to_m = 4.9", "to_m"),
    ('kind = "loading"', 'kind = "delivery"', "is not one of"),
    # calibrations
    ("until = 2027-03-01", "until = 2025-03-01", "until"),
    ('point = "pm2_5"', 'point = "pm25"', "did you mean pm2_5?"),
    ('device = "hut_air"\npoint = "pm2_5"', 'device = "hut"\npoint = "pm2_5"', "hut_air"),
]
WARNINGS = [
    ('"mqtts://broker.example:8883"', '"mqtts://broker.example:1883"', "that of mqtt://"),
    ('zone = "Europe/Berlin"', 'zone = "EST"', "without summer time"),
    ('lead = "GPIO22"', 'lead = "GPIO28"', "the header of a Raspberry Pi has GPIO2 to GPIO27"),
    ("/dev/serial/by-id/usb-FTDI_USB-RS485_Cable_FT0ABCDE-if00-port0", "/dev/ttyUSB0", "adapter"),
    ("unit = 1                          # the", "every_s = 0.1\nunit = 1  # the", "of the time"),
    ('confirm = "platform"', "", "is not set, so"),
    (PLACE, place("13.37769", "52.51634"), "latitude and longitude may be exchanged"),
    (PLACE, place("52.51634", "-13.37769"), "longitude = 13.3777 would fit"),
    (PLACE, place("0.0", "0.0"), "lies in the Atlantic"),
    (PLACE, place("52.5", "13.4"), "exact to 11 km only"),
    ("latitude = 52.51702 ", "latitude = 52.61702 ", "11 km away from the site"),
    ("bearing_deg = 180 ", "bearing_deg = 0 ", "leads away from the site"),
    ('lead = "GPIO22"', 'lead = "GPIO22"\nname = "Nordstraße, rechte Spur"', "called"),
]
WARNINGS += [
    # what a device on a serial line can be set to
    ("baud = 9600                       # as", "baud = 115200  # as", "sdm630 can 2400, 4800"),
    (
        '# parity = "N"\n# stop = 1\n# time',
        'parity = "E"\nstop = 2\n# time',
        "8N1, 8E1, 8O1 or 8N2",
    ),
    ("# baud = 9600                     #", "baud = 115200  #", "pms5003 can only 9600 baud"),
    ('# parity = "N"                    #', 'parity = "E"  #', "at 8E1 (bits, parity, stop bits)"),
    ("# bits = 8", "bits = 7", "at 7N1 (bits, parity, stop bits): pms5003 can only 8N1"),
]
BERLIN = 'zone = "Europe/Berlin"'
BROKER = '"mqtts://broker.example:8883"'
BESIDE = 'kind = "serial"\nport = "/dev/serial0"'
WARNINGS += [
    *(
        (BERLIN, f'zone = "{zone}"', found)
        for zone, found in (
            ("CET", '"Europe/Berlin"'),
            ("EET", '"Europe/Helsinki"'),
            ("EST5EDT", '"America/New_York"'),
            ("Zulu", 'another name of UTC; write "UTC"'),
            ("Etc/GMT+1", "is UTC-1: its sign is the other way round"),
            ("Etc/GMT-1", "is UTC+1: its sign is the other way round"),
            ("UTC", 'write zone = "Europe/Berlin"'),
        )
    ),
    # wires
    ('lead = "GPIO22"', 'lead = "gpio22"', "no line is called gpio22; write GPIO22"),
    (
        'lead = "GPIO22"',
        'lead = "PIN15"',
        "PIN15 is a pin of the header, and lines are those of the chip; write GPIO22",
    ),
    ('lead = "GPIO22"', 'lead = "GPIO2"', "is a wire of bus.air (/dev/i2c-1)"),
    ('lead = "GPIO22"', 'lead = "GPIO15"', "is a wire of bus.dust (/dev/serial0)"),
    ('# status_led = "GPIO21"', 'status_led = "17"', "17 is lane.north_1.lead, too"),
    ('# modem_power_line = "GPIO20"', 'modem_power_line = "GPIO5"', "is device.heating.line, too"),
    ('port = "/dev/serial0"', 'port = "/dev/i2c-1"', "is not called as a serial port is"),
    ('# path = "/dev/i2c-1"', 'path = "/dev/i2c1"', "such as /dev/i2c-1"),
    (
        '# chip = "/dev/gpiochip0"\n\n[bus.air]',
        'chip = "/dev/gpiochip"\n[bus.air]',
        "/dev/gpiochip0",
    ),
    ('host = "192.0.2.20"', 'host = "192.0.2.20:502"', 'write host = "192.0.2.20" and port = 502'),
    ('host = "192.0.2.20"', 'host = "192.0.2.256"', "four numbers from 0 to 255"),
    # the broker and the store
    *(
        (BROKER, f'"mqtts://{host}"', found)
        for host, found in (
            ("broker.example:443", "that of HTTPS; the usual port of mqtts:// is 8883"),
            ("broker.example:22", "that of SSH"),
            ("192.168.1.256", "four numbers from 0 to 255"),
            ("10.0.0.1.8883", "the port stands behind a colon: 10.0.0.1:8883"),
            ("broker,example", "the name of a host has no ,"),
            ("bro_ker", "the name of a host has no _"),
        )
    ),
    ("# fallback = [", f"fallback = [{BROKER}] # ", "is named before; name another broker"),
    ('# dir = "/var/lib/kerbstone" ', 'dir = "/run/store" ', "a power cut loses all records"),
    ('# dir = "/var/lib/kerbstone" ', 'dir = "/tmp/store" ', "a power cut loses all records"),
    ('# run_dir = "/run/kerbstone" ', 'run_dir = "/var/lib/run" ', "is on disk, and wears"),
    ("# limit_mb = 256 ", "limit_mb = 65536 ", "more than half of a card of 32 GB"),
    ("# card_tb = 0.4 ", "card_tb = 32 ", "looks like the card's size in GB"),
    # calibrations and cells
    (
        'working = "ain0"                  # the electrodes\' inputs\nauxiliary = "ain1"',
        'working = "ain1"\nauxiliary = "ain0"',
        "are they exchanged?",
    ),
    ('working = "ain2"', 'working = "ain0"', "is an electrode of cell.no2, too"),
    ("we_electronic_mv = 224.0", "we_electronic_mv = 0.224", "looks like volts, and this is in mV"),
    ("we_zero_mv = 3.0", "we_zero_mv = 0.003", "looks like volts, and this is in mV: 3"),
    ("gain = 1.08", "gain = 108.0", "108 times as large"),
    ("gain = 1.08", "gain = -1.08", "its opposite"),
    # the street
    ("spacing_m = 4.0", "spacing_m = 2.0", "the loops would touch"),
    ("# effective_m = 2.3", "effective_m = 20.0", "far longer than its loop"),
    ("limit_kmh = 50", "limit_kmh = 5", "slower than people walk"),
    (
        "distance_m = 220",
        "distance_m = 19000\n[approach.bridge]\nlatitude = 52.51634\nlongitude = 13.37769",
        "19000 m is the way to bridge, which is 76 m away in a straight line",
    ),
]
ERRORS += [
    (BERLIN, 'zone = "UTC+1"', "it is an offset; a zone is a place"),
    (
        BESIDE,
        f'{BESIDE}\n[bus.x]\nkind = "serial"\nport = "/dev//serial0"',
        "is that of bus.dust already",
    ),
]
UNFOUND = [
    ("until = 2027-03-01", "until = 2072-03-01", "a certificate may hold for long"),
    ('gateway = "gw-0001"', 'gateway = "gw-0002"', "only the city knows all names"),
    (BROKER, '"mqtts://localhost"', "right at a desk; on a box there is a warning"),
]


def checked(
    old: str, new: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    assert old in TEXT, f"the example has changed: {old}"
    file = folder / "site.toml"
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    code = main(["check", str(file)])
    return code, capsys.readouterr().err


def test_all_but_three_are_found() -> None:
    assert (len(ERRORS), len(WARNINGS), len(UNFOUND)) == (87, 58, 3)


@pytest.mark.parametrize(("old", "new", "said"), ERRORS)
def test_a_mistake_is_an_error_that_says_what_is_right(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = checked(old, new, tmp_path, capsys)
    assert code == 2
    assert said in err


@pytest.mark.parametrize(("old", "new", "said"), WARNINGS)
def test_what_may_be_meant_is_a_warning(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = checked(old, new, tmp_path, capsys)
    assert code == 0, err
    assert said in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("id = city  # the city’s name", 'write "city"'),
        ('id = city  # or “town”, "village"', 'write "city"'),
        ('id = "Am „Markt“" 4', ""),
    ],
)
def test_quotes_that_may_stand_where_they_do_are_not_the_mistake(line: str, said: str) -> None:
    hint = spelling_hint(line)
    assert said in hint
    assert "word processor" not in hint


def test_another_chip_than_that_of_the_header_has_lines_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = checked('lead = "GPIO22"', 'lead = "40"', tmp_path, capsys)
    assert (code, err.count("the header of a Raspberry Pi")) == (0, 1)
    file = tmp_path / "site.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace('# chip = "/dev/gpiochip0"', 'chip = "/dev/gpiochip2"'), encoding="utf-8"
    )
    assert main(["check", str(file)]) == 0
    assert "the header of a Raspberry Pi" not in capsys.readouterr().err


@pytest.mark.parametrize(("old", "new", "why"), UNFOUND)
def test_what_cannot_be_seen_in_a_file_is_known(
    old: str, new: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = checked(old, new, tmp_path, capsys)
    assert (code, err.count("warning: ")) == (0, 3), why


def test_settings_that_a_device_can_have_are_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for old, new in (
        ("baud = 9600                       # as", "baud = 38400  # as"),
        ('# parity = "N"\n# stop = 1\n# time', 'parity = "E"\n# time'),
        ('driver = "pms5003"', 'driver = "sps30_uart"'),  # 115200 from the factory
    ):
        assert "is silent at" not in checked(old, new, tmp_path, capsys)[1]


def test_a_box_that_names_itself_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(brokerchecks, "BOX_FOLDERS", (tmp_path,))
    assert (
        "localhost is this box itself"
        in checked(BROKER, '"mqtts://localhost"', tmp_path, capsys)[1]
    )
    assert "this box itself" not in checked(BROKER, '"mqtts://127.0.0.1"', tmp_path, capsys)[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BROKER, '"mqtts://[2001:db8::7]:8883"'),
        (BROKER, '"mqtts://192.168.1.255"'),
        (BROKER, '"mqtts://bröker.example"'),
        (BERLIN, 'zone = "Africa/Lagos"'),
        ('host = "192.0.2.20"', 'host = "converter-2"'),
        ('host = "192.0.2.20"', 'host = "2001:db8::7"'),
        ('port = "/dev/serial0"', 'port = "/dev/serial/by-path/platform-1"'),
        ('port = "/dev/serial0"', 'port = "/dev/ttyAMA3"'),
        ('port = "/dev/serial0"', 'port = "/dev/dust"'),
        ('# path = "/dev/i2c-1"', 'path = "/dev/i2c-11"'),
        ('# dir = "/var/lib/kerbstone" ', 'dir = "/mnt/ssd/kerbstone" '),
        ('# run_dir = "/run/kerbstone" ', 'run_dir = "/var/run/kerbstone" '),
        ("# limit_mb = 256 ", "limit_mb = 8000 "),
        ("# card_tb = 0.4 ", "card_tb = 30.0 "),
        *(("# card_tb = 0.4 ", f"card_tb = {ssd} ") for ssd in (64, 128, 256, 512)),
        ("we_zero_mv = 3.0", "we_zero_mv = 0.0"),
        ("gain = 1.08", "gain = 0.5"),
        (
            "distance_m = 220",
            "distance_m = 220\n[approach.bridge]\nlatitude = 52.5155\nlongitude = 13.377",
        ),
        ("spacing_m = 4.0", "spacing_m = 2.1"),
        ("# effective_m = 2.3", "effective_m = 3.0"),
        ("limit_kmh = 50", "limit_kmh = 7"),
    ],
)
def test_what_looks_like_a_mistake_and_is_none(
    old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three warnings are those of the certificates that are not here; Lagos is far away."""
    code, err = checked(old, new, tmp_path, capsys)
    said = [
        line for line in err.splitlines() if "is not there" not in line and "km away" not in line
    ]
    assert (code, said) == (0, [])
