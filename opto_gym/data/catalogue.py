"""The table of published data sets: their files, hashes, licences and sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

GITHUB = "https://raw.githubusercontent.com"


class File(NamedTuple):
    """A published file: its SHA-256 and its number of examples."""

    sha256: str
    examples: int


@dataclasses.dataclass(frozen=True, slots=True)
class DataSet:
    """A published data set.

    Attributes:
        about: Its name, content and paper.
        licence: The licence of the data.
        source: The page where its authors publish it.
        origin: Where `fetch` downloads it: ``"owner/repository/commit/folder"`` on GitHub, or
            ``"hub:owner/name/archive.tar/folder"`` on the Hugging Face hub.
        files: The files by their paths in the data folder.
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
