"""Data sets of other people, in the formats in which they are published. The package ships none but a small sample.

They are looked for in the folder that ``OPTO_GYM_DATA`` names, else in the user's cache folder (`opto-gym data path`):

::

    bbh/<task>.json                  {"examples": [{"input": ..., "target": ...}, ...]}, 27 tasks
    gsm8k/train.jsonl, test.jsonl    {"question": ..., "answer": "... #### 18"} a line
    mmlu/<subject>_test.csv          question, four options, the right one's letter; no header

`fetch` brings what was published, byte for byte (SHA-256). Files that somebody puts there are taken if they have the
form and the number of examples of the published ones; a trial records the SHA-256 of each file that it reads.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .errors import DataNotFound, MissingExtra
from .extras import need
from .llm.local import cache_folder

Example = dict[str, Any]
SAMPLE = Path(__file__).with_name("data_sample")
"""A few examples of each file, which come with the package for tests and first steps: a folder like any other."""
GITHUB = "https://raw.githubusercontent.com"


class File(NamedTuple):
    """A published file: its SHA-256 and its number of examples."""

    sha256: str
    examples: int


@dataclasses.dataclass(frozen=True, slots=True)
class DataSet:
    """A published data set.

    Attributes:
        about: What it is, with the paper.
        licence: Of the data.
        source: Where its authors publish it.
        origin: ``"owner/repository/commit/folder"`` at GitHub, or ``"hub:owner/name/archive.tar/folder"``.
        files: By their paths in the data folder.
    """

    about: str
    licence: str
    source: str
    origin: str
    files: Mapping[str, File]


SETS: dict[str, DataSet] = {
    "bbh": DataSet(
        "BIG-Bench Hard, 27 tasks (Suzgun et al., arXiv:2210.09261)",
        "MIT",
        "https://github.com/suzgunmirac/BIG-Bench-Hard, folder bbh",
        "suzgunmirac/BIG-Bench-Hard/9ee07bd481feebf959a6b59d61ea57bdcf30964d/bbh",
        {
            "bbh/boolean_expressions.json": File(
                "ea6c754ec005e2d3f2d085d349a740f593b5764f32ea4638ffed4cfc0061b12a", 250
            ),
            "bbh/causal_judgement.json": File("6e8bca44dd402008ed41c07a3d0a1d5e7b03db7001a7e002fcdf4c60985ea081", 187),
            "bbh/date_understanding.json": File(
                "0148d4ac5fca05b2f82373e5fef7208e15363b9c6079493034d77b3dab496bf5", 250
            ),
            "bbh/disambiguation_qa.json": File("cf06df9ebf911b883671cb1b35d3fbd1a1c306b19b9e9a012407e596c85fe8c6", 250),
            "bbh/dyck_languages.json": File("3f9badedf15c2be1ce53d94fdf016299bb30ba231ef087ab9f51a7ed6d0bdc25", 250),
            "bbh/formal_fallacies.json": File("4c1adb664821157faade1d4153685403afcc02648f3c180a608a18f17f589629", 250),
            "bbh/geometric_shapes.json": File("07be68a124420caa2ebc0b2c858ad79fc55c5c8806170e496e1e17ebfb11f31c", 250),
            "bbh/hyperbaton.json": File("b6d7f55c75f5d02f2987a4f3123802dfa093872089a56a334144aae8a7264fdc", 250),
            "bbh/logical_deduction_five_objects.json": File(
                "d2df31394b903b7f0e085d42a69572a092987856eac076799017d70ef266fa8f", 250
            ),
            "bbh/logical_deduction_seven_objects.json": File(
                "2896c7e3482eea318dd37bcc370d24ec3cc91e8374c1784287b5dbd38a529e33", 250
            ),
            "bbh/logical_deduction_three_objects.json": File(
                "e590fae72e3a6041fbd23bd8ff6b74baf44ca563f6ba40a041c55e7b867c1681", 250
            ),
            "bbh/movie_recommendation.json": File(
                "a8b53a87ee21a865b7248e694f388a9b8f7cf6b839b11d44796a2dd3fc088983", 250
            ),
            "bbh/multistep_arithmetic_two.json": File(
                "c9d5a6433c9b78256422a15c78463949c8bec8d85607aa28b52d7234ad4a8595", 250
            ),
            "bbh/navigate.json": File("b7944dfd3c81da5c4815bd75b00d6fa3c64140823498e78ed496f4c3d36f7f0d", 250),
            "bbh/object_counting.json": File("8acef14dbbdd40d2326ef7755750b6b5fe919fef06276af1bab3f1c297f022ff", 250),
            "bbh/penguins_in_a_table.json": File(
                "bb87ee449698eee51215e025a453b1bcb2f5e6589c2063b2c79e68b8f0655228", 146
            ),
            "bbh/reasoning_about_colored_objects.json": File(
                "0a8850cf95166020fce7a78244026ceedd7ea839302471512b4f8744e85a6a49", 250
            ),
            "bbh/ruin_names.json": File("b6f723aef2bafdd4c7bfc3c7e0329c7e8a8279391a609969c8ed76c9319f5f7f", 250),
            "bbh/salient_translation_error_detection.json": File(
                "becf3eb8dd53c821a555ecd5c1334ecd93eb25f980e63be963c518e7138de5da", 250
            ),
            "bbh/snarks.json": File("54a0661fe2de06167645a4965e6bcf963c4ba307e76262a7c750998b0e3d0d0e", 178),
            "bbh/sports_understanding.json": File(
                "63ca262858f6176864515cd8cf53cdaa40839ebecc155b726d77930855d167bf", 250
            ),
            "bbh/temporal_sequences.json": File(
                "92a1189faaa84aacc4c405aaa13f13f48c2992eb884772eedb622505252baef5", 250
            ),
            "bbh/tracking_shuffled_objects_five_objects.json": File(
                "2063a46a4fb484236ed4310523606543a3e1dd4a4dc34eda65d407910ece25a5", 250
            ),
            "bbh/tracking_shuffled_objects_seven_objects.json": File(
                "b59fd05b850c37cf57cb514ae1e6975c00b1638ade2291722056b2af3c54084d", 250
            ),
            "bbh/tracking_shuffled_objects_three_objects.json": File(
                "546cc7bf10c6a01a6a4c17ae28a4966485f21f29fd5d111f37858ec78e354f6b", 250
            ),
            "bbh/web_of_lies.json": File("3e60323f8514a107fdb4edf35f8832a9171c5a09c0eaa47823559de905e8ab8b", 250),
            "bbh/word_sorting.json": File("2a6132d2c99f00d0d2eb1113ac6b4a918bd969d863c48749210d969713db8d43", 250),
        },
    ),
    "gsm8k": DataSet(
        "GSM8K, grade school mathematics (Cobbe et al., arXiv:2110.14168)",
        "MIT",
        "https://github.com/openai/grade-school-math, folder grade_school_math/data",
        "openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data",
        {
            "gsm8k/train.jsonl": File("17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465", 7473),
            "gsm8k/test.jsonl": File("3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14", 1319),
        },
    ),
    "mmlu": DataSet(
        "MMLU, test files of two subjects (Hendrycks et al., arXiv:2009.03300)",
        "MIT",
        "https://github.com/hendrycks/test, data.tar, folder data/test",
        "hub:cais/mmlu/data.tar/data/test",
        {
            "mmlu/machine_learning_test.csv": File(
                "05984b90f887a7da12b3dd8e41e6c34fa856b2c939ea3124975d90910ceb2af0", 112
            ),
            "mmlu/college_physics_test.csv": File(
                "079c3696eda22c13b0472de245c7bb4918315b59481964109a4f65d2a35b4243", 102
            ),
        },
    ),
}


def root() -> Path:
    """The folder of the data sets: ``OPTO_GYM_DATA``, else in the user's cache folder."""
    given = os.environ.get("OPTO_GYM_DATA")
    return Path(given) if given else cache_folder() / "data"


def load(path: str, data: str | None = None) -> tuple[list[Example], str]:
    """The examples of a file, and its SHA-256.

    Args:
        path: In the data folder, such as ``"bbh/navigate.json"``.
        data: None for the data folder, ``"sample"`` for what comes with the package.

    Raises:
        DataNotFound: If the file is not there, or is not what it should be.
    """
    if data not in (None, "sample"):
        raise ValueError(f'expected data of None (the data folder) or "sample", got {data!r}')
    folder = SAMPLE if data == "sample" else root()
    name = path.split("/")[0]
    if not (folder / path).is_file():
        raise DataNotFound(
            f"{path} is not in {folder}: run `opto-gym data fetch {name}`, or put it there from {SETS[name].source}; "
            'a few examples come with the package: data="sample"'
        )
    content = (folder / path).read_bytes()
    try:
        examples = _examples(path, content, counted=folder.resolve() != SAMPLE)
    except ValueError as e:
        raise DataNotFound(
            f"{e}. Delete {folder / path} and run `opto-gym data fetch {name}`, or put the published file there, "
            f"from {SETS[name].source}"
        ) from e
    return examples, hashlib.sha256(content).hexdigest()


def state(name: str) -> str:
    """What there is of a data set: published, own files, incomplete, damaged or missing."""
    files = SETS[name].files
    present = [path for path in files if (root() / path).is_file()]
    if not present:
        return "missing"
    if len(present) < len(files):
        return f"incomplete: {len(present)} of {len(files)} files"
    try:
        hashes = {path: load(path)[1] for path in files}
    except DataNotFound as e:
        return f"damaged: {e}"
    return "published" if all(hashes[path] == file.sha256 for path, file in files.items()) else "own files"


def listing() -> list[str]:
    """A line for each data set: its state, what it is, its licence and source."""
    return [f"{n:6} {state(n):10} {s.about}; {s.licence} licence; {s.source}" for n, s in SETS.items()]


def fetch(name: str, *, progress: bool = False) -> Path:
    """Brings what is missing of a data set into the data folder; its files as published, by SHA-256.

    Args:
        name: Of `SETS`.
        progress: Show a bar, in a terminal.

    Raises:
        DataNotFound: If it can't be had; the message says which files to put where.
    """
    if name not in SETS:
        raise DataNotFound(f"expected a data set of {sorted(SETS)}, got {name!r}")
    folder, wanted = root(), SETS[name]
    missing = [path for path in wanted.files if not (folder / path).is_file()]
    for path in wanted.files:
        if path not in missing:
            load(path)  # says so if what is there is damaged
    hub = wanted.origin.startswith("hub:")
    source = _hub(wanted.origin) if hub else _github(wanted.origin)
    bar = progress and sys.stderr.isatty() and not hub  # the hub's client has a bar of its own
    try:
        for path in _counted(missing, name) if bar else missing:
            content = source(Path(path).name)
            if hashlib.sha256(content).hexdigest() != wanted.files[path].sha256:
                raise OSError(f"{path} came with another SHA-256 than the published {wanted.files[path].sha256}")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            part = (folder / path).with_suffix(".part")
            part.write_bytes(content)
            part.replace(folder / path)
    except (OSError, KeyError, MissingExtra, tarfile.TarError, urllib.error.URLError) as e:
        raise DataNotFound(
            f"{name} could not be fetched ({e}). Put these files into {folder}, from {wanted.source}: "
            f"{', '.join(missing)}"
        ) from e
    return folder / name


def _counted(files: list[str], name: str) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    return track(files, name, console=Console(stderr=True))


def _github(origin: str) -> Callable[[str], bytes]:
    def content(file: str) -> bytes:
        with urllib.request.urlopen(f"{GITHUB}/{origin}/{file}", timeout=60) as answer:
            return bytes(answer.read())

    return content


def _hub(origin: str) -> Callable[[str], bytes]:
    owner, name, archive, folder = origin.removeprefix("hub:").split("/", 3)

    def content(file: str) -> bytes:
        hub = need("huggingface_hub")
        where = {"repo_id": f"{owner}/{name}", "filename": archive, "repo_type": "dataset"}
        try:
            path = hub.hf_hub_download(**where, local_files_only=True)
        except OSError:  # it is not in the hub's own cache
            _reach(hub, hub.hf_hub_url(**where))
            path = hub.hf_hub_download(**where)
        with tarfile.open(path) as tar:
            member = tar.extractfile(f"{folder}/{file}")
            if member is None:
                raise OSError(f"{archive} holds no file {file}")
            return member.read()

    return content


def _reach(hub: Any, url: str) -> None:
    """Asks the hub for a file once; its client's download would go on asking for half a minute, and say so each time.

    Raises:
        OSError: If it can't be reached.
    """
    try:
        hub.get_hf_file_metadata(url, timeout=10)
    except Exception as e:  # its client's HTTP library has changed, and with it the exceptions
        raise OSError(f"{url}: {e}") from e


# ------------------------------------------------------------------ forms
def _examples(path: str, content: bytes, counted: bool) -> list[Example]:
    """The examples, checked; a ValueError says what is wrong."""
    name = path.split("/")[0]
    try:
        examples = _READERS[name](content.decode())
    except (ValueError, KeyError, TypeError, csv.Error) as e:
        raise ValueError(f"{path} is damaged, or has another form than the published file: {e}") from e
    published = SETS[name].files.get(path)
    if counted and published is not None and len(examples) != published.examples:
        raise ValueError(f"{path}: expected the published file's {published.examples} examples, got {len(examples)}")
    return examples


def _read_bbh(text: str) -> list[Example]:
    examples = [{"input": e["input"], "target": e["target"]} for e in json.loads(text)["examples"]]
    return _texts(examples)


def _read_gsm8k(text: str) -> list[Example]:
    """The answer's last line is the target; the calculator's marks <<...>> are no part of the working."""
    examples = []
    for line in filter(str.strip, text.split("\n")):
        record = json.loads(line)
        working, mark, target = record["answer"].rpartition("####")
        if not mark or not re.fullmatch(r"-?[\d,]+", target.strip()):
            raise ValueError(f"expected an answer that ends in '#### N', got {record['answer'][-60:]!r}")
        working = re.sub(r"<<.*?>>", "", working).strip()
        target = target.strip().replace(",", "")
        examples.append({"input": record["question"], "target": target, "working": working})
    return _texts(examples)


def _read_mmlu(text: str) -> list[Example]:
    examples = []
    for row in csv.reader(io.StringIO(text)):
        question, *options, letter = row
        if len(options) != 4 or letter not in ("A", "B", "C", "D"):
            raise ValueError(f"expected a question, four options and a letter of A to D, got {row!r:.80}")
        listed = "\n".join(f"({name}) {option}" for name, option in zip("ABCD", options, strict=True))
        examples.append({"input": f"{question}\n{listed}", "target": f"({letter})"})
    return _texts(examples)


def _texts(examples: list[Example]) -> list[Example]:
    if not all(isinstance(v, str) and v for e in examples for k, v in e.items() if k != "working"):
        raise ValueError("expected texts that are not empty")
    return examples


_READERS: dict[str, Callable[[str], list[Example]]] = {"bbh": _read_bbh, "gsm8k": _read_gsm8k, "mmlu": _read_mmlu}
