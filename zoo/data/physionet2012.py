"""PhysioNet 2012, set A: the first 48 hours of 4,000 stays in intensive care.

Silva et al., Predicting in-hospital mortality of ICU patients, 2012. ODC-By 1.0.
"""

import csv
from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset

STATIC = ("Age", "Gender", "Height", "ICUType", "Weight")
VITALS = tuple(
    "Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR "
    "K Lactate Mg MAP MechVent Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH Platelets RespRate SaO2 "
    "SysABP Temp TroponinI TroponinT Urine WBC Weight".split()
)
_COLUMNS = {name: column for column, name in enumerate(VITALS)}
HOURS = 48.0
MISSING = -1.0

DATASET = Dataset(
    name="physionet2012",
    title="PhysioNet/Computing in Cardiology Challenge 2012, set A (Silva et al.)",
    source=(
        "https://raw.githubusercontent.com/AbdelrahmanManz/ICU-Mortality-Predictor/"
        "7037a4f84275e146be51bae44ceaa11e687269b8/"
    ),
    license="ODC-By-1.0",
)


def stays() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The stays in the order of their record IDs.

    Returns:
        Measurements of each stay (times, 1 + 37): hours since admission, then `VITALS`, NaN if not
        measured at that time; `STATIC` (4000, 5), NaN if unknown; deaths in hospital (4000,),
        0 or 1.
    """
    measured, static, deaths, _ = _parsed()
    return measured, static, deaths


def afterwards() -> tuple[np.ndarray, np.ndarray]:
    """The outcomes of the stays, in the order of `stays`; only for targets.

    Returns:
        Days in hospital, and days until a death in hospital or later; both from the admission to
        intensive care, (4000,), NaN if unknown.
    """
    outcomes = sorted(_outcomes(DATASET.fetch()), key=lambda row: row["RecordID"])
    days = np.array(
        [[float(row[name]) for name in ("Length_of_stay", "Survival")] for row in outcomes]
    )
    stayed, survived = np.where(days == MISSING, np.nan, days).T
    return stayed, survived


def split_stays(seed: int, count: int = 4000) -> dict[str, np.ndarray]:
    """Indices of the stays of a random split: 20 % test, 8 % validation and 72 % training."""
    order = np.random.RandomState(seed).permutation(count)
    test, validation = count // 5, count * 2 // 25
    return {
        "train": order[test + validation :],
        "validation": order[test : test + validation],
        "test": order[:test],
    }


def summary() -> dict[str, int]:
    """Counts of stays, deaths and invalid rows."""
    measured, _, deaths, invalid = _parsed()
    return {
        "stays": len(measured),
        "deaths": int(deaths.sum()),
        "stays without a vital sign": sum(len(stay) == 0 for stay in measured),
        "invalid rows": invalid,
    }


def _parsed() -> tuple[list[np.ndarray], np.ndarray, np.ndarray, int]:
    paths = DATASET.fetch()
    outcomes = {row["RecordID"]: row["In-hospital_death"] for row in _outcomes(paths)}
    names = sorted(name for name in paths if name.startswith("set-a/"))
    parsed = [_stay(paths[name]) for name in names]
    record_ids = [name[len("set-a/") : -len(".txt")] for name in names]
    deaths = np.array([int(outcomes[record_id]) for record_id in record_ids])
    measured, static, invalid = zip(*parsed, strict=True)
    return list(measured), np.stack(static), deaths, sum(invalid)


def _outcomes(paths: dict[str, Path]) -> list[dict[str, str]]:
    with paths["Outcomes-a.txt"].open(newline="") as file:
        return list(csv.DictReader(file))


def _stay(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Measurements, static values and the number of invalid rows of a file."""
    static = dict.fromkeys(STATIC, np.nan)
    rows: dict[float, np.ndarray] = {}
    invalid = 0
    with path.open(newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for clock, parameter, text in lines:
            hours, minutes = clock.split(":")
            time, value = int(hours) + int(minutes) / 60, float(text)
            if parameter in static and time == 0:
                static[parameter] = np.nan if value == MISSING else value
            # The record ID and the static values, except for the weight, are no measurements.
            if parameter in ("RecordID", *STATIC[:4]):
                continue
            if parameter not in _COLUMNS or value == MISSING:
                invalid += parameter not in _COLUMNS
                continue
            if time not in rows:
                rows[time] = np.full(len(VITALS), np.nan)
            rows[time][_COLUMNS[parameter]] = value
    times = sorted(rows)
    measured = np.array([[time, *rows[time]] for time in times], "float32")
    return measured.reshape(-1, 1 + len(VITALS)), np.array(list(static.values())), invalid
