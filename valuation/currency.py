"""Money's names: the currency of a deal, and how keys, priors and units are spelled in it.

A deal is in one currency, which its file states. Code names money without one (``equity_bn``, ``bn per year``);
files and results carry it, so that no bare number is without its unit: ``equity_eur_bn``, ``EUR bn per year``.
Nothing here converts: an exchange rate is a fact that nobody has entered.
"""

from __future__ import annotations

import re

# ISO 4217, the currencies in use (list one of the standard, without funds, metals and test codes).
CODES = frozenset(
    [
        "AED",
        "AFN",
        "ALL",
        "AMD",
        "ANG",
        "AOA",
        "ARS",
        "AUD",
        "AWG",
        "AZN",
        "BAM",
        "BBD",
        "BDT",
        "BGN",
        "BHD",
        "BIF",
        "BMD",
        "BND",
        "BOB",
        "BRL",
        "BSD",
        "BTN",
        "BWP",
        "BYN",
        "BZD",
        "CAD",
        "CDF",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CRC",
        "CUP",
        "CVE",
        "CZK",
        "DJF",
        "DKK",
        "DOP",
        "DZD",
        "EGP",
        "ERN",
        "ETB",
        "EUR",
        "FJD",
        "FKP",
        "GBP",
        "GEL",
        "GHS",
        "GIP",
        "GMD",
        "GNF",
        "GTQ",
        "GYD",
        "HKD",
        "HNL",
        "HTG",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IQD",
        "IRR",
        "ISK",
        "JMD",
        "JOD",
        "JPY",
        "KES",
        "KGS",
        "KHR",
        "KMF",
        "KPW",
        "KRW",
        "KWD",
        "KYD",
        "KZT",
        "LAK",
        "LBP",
        "LKR",
        "LRD",
        "LSL",
        "LYD",
        "MAD",
        "MDL",
        "MGA",
        "MKD",
        "MMK",
        "MNT",
        "MOP",
        "MRU",
        "MUR",
        "MVR",
        "MWK",
        "MXN",
        "MYR",
        "MZN",
        "NAD",
        "NGN",
        "NIO",
        "NOK",
        "NPR",
        "NZD",
        "OMR",
        "PAB",
        "PEN",
        "PGK",
        "PHP",
        "PKR",
        "PLN",
        "PYG",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "RWF",
        "SAR",
        "SBD",
        "SCR",
        "SDG",
        "SEK",
        "SGD",
        "SHP",
        "SLE",
        "SOS",
        "SRD",
        "SSP",
        "STN",
        "SVC",
        "SYP",
        "SZL",
        "THB",
        "TJS",
        "TMT",
        "TND",
        "TOP",
        "TRY",
        "TTD",
        "TWD",
        "TZS",
        "UAH",
        "UGX",
        "USD",
        "UYU",
        "UZS",
        "VES",
        "VND",
        "VUV",
        "WST",
        "XAF",
        "XCD",
        "XCG",
        "XOF",
        "XPF",
        "YER",
        "ZAR",
        "ZMW",
        "ZWG",
    ]
)

# About how many units a US dollar was in 2025, where it was 30 or more: 100 for up to 400, then 1000 up to 4000, and so
# on. It widens the bounds that catch a slip of unit and is no exchange rate: nothing is converted by it.
_SMALL = {
    100: """AFN ALL AMD BDT BTN CVE DJF DOP DZD EGP ETB GMD GYD HTG HUF INR ISK JMD JPY KES KGS LKR LRD MKD MRU MUR
        MZN NIO NPR PHP PKR RSD RUB SRD THB TRY TWD UAH UYU VUV XPF""",
    1000: """AOA ARS BIF CDF CLP COP CRC IQD KMF KRW KZT MMK MNT MWK NGN RWF SDG SOS TZS UGX XAF XOF""",
    10_000: "GNF IDR KHR LAK MGA PYG SYP UZS VND",
    100_000: "IRR LBP",
}
MAGNITUDES = {code: size for size, codes in _SMALL.items() for code in codes.split()}
WIDEST = max(MAGNITUDES.values())

BN = "bn"  # billions of the deal's currency, and the beginning of every other unit of its money
BN_PER_YEAR = "bn per year"

_STATED = re.compile(r"(?P<what>[a-z]\w*)_(?P<code>[a-z]{3})_bn(?P<rest>_per_year)?")
_PLAIN = re.compile(r"\b(?P<what>[a-z]\w*?)_bn(?P<rest>_per_year)?\b")
_UNIT = re.compile(r"(?P<code>[A-Z]{3}) (?P<rest>bn|m|k|tn)\b.*")


def scale(currency: str) -> float:
    """What bounds on amounts are multiplied by: 1 where a unit is about a dollar's size, 100 of a yen."""
    return float(MAGNITUDES.get(currency, 1))


def unit_in(unit: str, currency: str) -> str:
    """A unit as the deal has it: ``bn per year`` is ``EUR bn per year``; what is no money stays."""
    return f"{currency} {unit}" if unit in (BN, BN_PER_YEAR) else unit


def spelled(text: str, currency: str) -> str:
    """Names of money inside a text as files of the deal spell them: ``equity_bn`` as ``equity_eur_bn``."""
    return _PLAIN.sub(
        lambda found: (
            found.group()
            if _stated_code(found.group())
            else f"{found['what']}_{currency.lower()}_bn{found['rest'] or ''}"
        ),
        text,
    )


def neutral(name: str) -> tuple[str, str | None]:
    """A name without its currency, and the currency: ``equity_eur_bn`` gives ``equity_bn`` and ``EUR``."""
    code = _stated_code(name)
    if code is None:
        return name, None
    return re.sub(rf"_{code.lower()}_bn", "_bn", name), code


def _stated_code(name: str) -> str | None:
    found = _STATED.fullmatch(name)
    code = found["code"].upper() if found else None
    return code if code in CODES else None


def currency_of(unit: str | None) -> str | None:
    """The currency that a unit states (``EUR bn`` gives ``EUR``); None for what is no amount of money."""
    found = _UNIT.fullmatch(unit or "")
    return found["code"] if found and found["code"] in CODES else None


def named_in(unit: str | None) -> str | None:
    """A currency that a unit names in whatever way (``USD billion``, ``m EUR``); None if it names none."""
    return next((word for word in re.findall(r"\b[A-Z]{3}\b", unit or "") if word in CODES), None)


def without(unit: str) -> str:
    """A unit without its currency: ``EUR bn per year`` is ``bn per year``."""
    code = currency_of(unit)
    return unit.removeprefix(f"{code} ") if code else unit
