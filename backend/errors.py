"""Every error of Terramend: a code, its sentence, and the exit status (notices: `messages.notices`).

Standard library only: QGIS's Python imports this too, to translate the sentences.
The backend raises codes with arguments; the sentence is made here and nowhere else.
A sentence names the file or option, says what is wrong, and what would mend it.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Any, Mapping

from .messages.batch_errors import BATCH
from .messages.exit_statuses import CANCELLED, ENVIRONMENT, INPUT, INTERNAL, PARTIAL
from .messages.notices import NOTICES, Notice, together
from .messages.plugin_errors import PLUGIN
from .messages.raster_errors import RASTERS
from .messages.research_errors import RESEARCH

__all__ = [
    "CANCELLED",
    "ENVIRONMENT",
    "ERRORS",
    "INTERNAL",
    "NOTICES",
    "PARTIAL",
    "Notice",
    "TerramendError",
    "together",
]

# code: (exit status, sentence). Keep alphabetical within each group.
ERRORS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        **BATCH,
        **PLUGIN,
        **RASTERS,
        **RESEARCH,
        # the command line and the protocol
        "command.absent": (INPUT, "There is no command {command}; the commands are {known}."),
        "command.option": (INPUT, "{option} is not valid: {why}."),
        "command.order": (INPUT, "{option} must stand after the {owner} that it belongs to."),
        "command.usage": (INPUT, "{why}; see {command} --help."),
        "protocol.order": (INPUT, "The first call must be initialize; this one was {method}."),
        "protocol.params": (INPUT, "The call {method} is not valid: {why}."),
        "protocol.version": (
            INPUT,
            "The client speaks protocol {found}, this backend {expected}: "
            "install the same version of plugin and backend.",
        ),
        # what was asked for
        "request.field": (INPUT, "The request's field {field} is not valid: {why}."),
        "request.version": (
            INPUT,
            "The request has schema version {found}, this Terramend reads {expected}: "
            "make the request again with this version.",
        ),
        # the weights of networks
        "weights.absent": (
            ENVIRONMENT,
            "{model} needs the network {name}, which is not on this machine: "
            "run terramend models install {name}.",
        ),
        "weights.address": (INPUT, "{address} is neither a folder nor an http address: mend --from."),
        "weights.cancelled": (
            CANCELLED,
            "Cancelled; what has come is kept in {folder}, and installing {name} again goes on from there.",
        ),
        "weights.changed": (
            ENVIRONMENT,
            "{model} needs the network {name}, and {path} is not the file that this version expects of it: "
            "run terramend models install {name}.",
        ),
        "weights.download": (
            ENVIRONMENT,
            "{address} could not be downloaded ({why}): run it again to go on, or choose a folder by --from.",
        ),
        "weights.folder": (
            ENVIRONMENT,
            "{path} cannot hold networks ({why}): name another folder by the setting weights, such as "
            "TERRAMEND_WEIGHTS=FOLDER.",
        ),
        "weights.hash": (
            ENVIRONMENT,
            "{file} from {source} is not the file that this version expects: get that version's.",
        ),
        "weights.missing": (INPUT, "There is no {file} in {folder}: mend --from."),
        "weights.refused": (
            ENVIRONMENT,
            "The server does not give out {address} ({why}): choose a folder or another address by --from.",
        ),
        "weights.software": (
            ENVIRONMENT,
            "The network {name} needs Terramend {least} or newer and this is {have}: upgrade first.",
        ),
        "weights.unpublished": (
            ENVIRONMENT,
            "The network {name} is on no server yet: choose its folder by --from, which in Terramend's "
            "source is models/weights/{name}.",
        ),
        "weights.unknown": (
            INPUT,
            "There is no network {name} to install; there are: {known}. One that you trained or were given "
            "is not installed: name its method, and add --set weights=FOLDER.",
        ),
        # settings
        "setting.file": (INPUT, "The settings file {path} cannot be used: {why}; mend that."),
        "setting.unknown": (
            INPUT,
            "The settings file {path} sets {name}, which is no setting; there are {known}.",
        ),
        "setting.value": (INPUT, "The setting {name} is {value!r} in {origin}, but {why}: mend it there."),
        # outputs
        "output.ending": (
            INPUT,
            "{path} ends in {ending}, but what is written is a GeoTIFF: let it end in .tif.",
        ),
        "output.exists": (INPUT, "{path} exists already: choose another name, or allow it with --overwrite."),
        "output.folder": (INPUT, "{path} is a folder: give the name of a GeoTIFF file."),
        "output.full": (
            ENVIRONMENT,
            "The disk of {path} is full; nothing of it was kept: free some space, or choose another disk.",
        ),
        "output.is-input": (
            INPUT,
            "{path} is also an input of this run; inputs are never changed: choose another output.",
        ),
        "output.locked": (
            ENVIRONMENT,
            "{path} could not be put in place ({why}): close the programs that use it (in QGIS, remove its "
            "layer), or choose another name, and run again.",
        ),
        "output.long": (INPUT, "The name of {path} is too long: give it one of at most {most} bytes."),
        "output.lossy": (
            INPUT,
            "The compression {compression} changes values, and valid pixels stay as they are: "
            "use one of {known}.",
        ),
        "output.no-folder": (
            INPUT,
            "The folder {folder} of the output {path} does not exist: make it first.",
        ),
        "output.option": (INPUT, "The creation option {option} is not used by Terramend: it takes {known}."),
        "output.owner": (
            INPUT,
            "{path} belongs to another user, and its folder lets nobody else replace it: "
            "choose another name.",
        ),
        "output.picture": (INPUT, "{path} is to hold a picture: give it a name that ends in .png."),
        "output.read-only": (INPUT, "The folder {path} cannot be written to: choose another one."),
        "output.report": (INPUT, "{path} is to hold a report: give it a name that ends in .html."),
        "output.sidecar": (
            INPUT,
            "{sidecar} is an input of this run, and would belong to {path}: choose another output.",
        ),
        "output.space": (
            ENVIRONMENT,
            "The outputs may need {need} in {path}, where {free} are free: free some, "
            "or choose another disk.",
        ),
        "output.special": (INPUT, "{path} is no ordinary file: give the name of a GeoTIFF file."),
        "output.twice": (INPUT, "{path} is the name of two outputs: give each its own."),
        "output.unfilled": (
            INPUT,
            "{path} has no nodata value, so --unfilled nodata has nothing to write: "
            "use --unfilled keep, or give the raster a nodata value.",
        ),
        "output.value": (INPUT, "The creation option {option} is not valid: it is one of {known}."),
        "output.write": (ENVIRONMENT, "{path} could not be written ({why}): check the disk and run again."),
        # the accuracy check
        "accuracy.nothing": (
            INPUT,
            "{name} has too few valid pixels to hide some of them and compare: check its gap masks.",
        ),
        # methods
        "model.band": (
            INPUT,
            "Band {band} ({description}) is a {role} band, which no method can estimate: "
            "leave it out of --bands.",
        ),
        "model.bands": (
            INPUT,
            "{model} found nothing in {name} that it can change: it needs red, green and blue bands with "
            "reflectance; name them in the raster's band descriptions (such as B04, B03, B02).",
        ),
        "model.bands-chosen": (
            INPUT,
            "{model} found nothing to do in {name}: it reads bands together, and --bands leaves some out: "
            "name those too, or leave out --bands.",
        ),
        "model.device": (
            INPUT,
            "The method {model} has nothing here that a GPU could compute: choose --device auto, "
            "or another method.",
        ),
        "model.lacks": (
            INPUT,
            "{model} found nothing in {name} that it can fill: it needs bands with reflectance at {needs}; "
            "name them in the raster's band descriptions (such as B04, B03, B02), or choose another method.",
        ),
        "model.mode": (INPUT, "The method {model} cannot do {mode}; these can: {known}."),
        "model.needs": (INPUT, "The method {model} needs {needs}: add {option}, or choose --model auto."),
        "model.network": (
            ENVIRONMENT,
            "A network could not compute ({why}): lower --jobs if memory is short, or mend --set weights.",
        ),
        "model.no-band": (INPUT, "Band {band} was asked for, but {name} has {count}: mend --bands."),
        "model.no-bands": (
            INPUT,
            "No band of {name} looks like an optical one that can be filled: name the bands with --bands.",
        ),
        "model.package": (
            ENVIRONMENT,
            "The method {model} needs the Python package {package}, which is not installed: "
            "install the full backend, or choose another method.",
        ),
        "model.setting": (INPUT, "The method {model} has no setting {setting}; it has {known}."),
        "model.unknown": (
            INPUT,
            "There is no method {model}; ready to use are {known}; terramend models lists all.",
        ),
        "model.untrained": (
            INPUT,
            "{model} comes without weights: run terramend train {model} --data DATA --out FOLDER "
            "(see docs/networks.md), then add --set weights=FOLDER.",
        ),
        "model.value": (
            INPUT,
            "The method {model} cannot use {settings} ({why}): terramend models {model} says what it takes.",
        ),
        "model.views": (
            INPUT,
            "The method {model} has no steps to look at: --save-weights-map and --save-trajectory go with "
            "--model de.",
        ),
        # memory and temporary files
        "memory.limit": (
            INPUT,
            "This scene needs {need} GB with the method {model}: raise --memory-limit to that.",
        ),
        "memory.dates": (
            INPUT,
            "This scene with its {count} other dates needs {need} GB with the method {model}: "
            "raise --memory-limit to that, or name no more than {fits} of them.",
        ),
        "tmp.folder": (
            ENVIRONMENT,
            "No temporary folder can be made in {path} ({why}): choose another one with --tmp.",
        ),
        "tmp.full": (
            ENVIRONMENT,
            "There is no space left for temporary files in {path}: free some, "
            "or name another folder by --tmp.",
        ),
        # the environment
        "environment.device": (
            ENVIRONMENT,
            "{device} was asked for but does not compute here ({why}): mend that, or choose --device auto.",
        ),
        "environment.disk": (
            ENVIRONMENT,
            "There is no space left for {path}: free some, or choose another disk.",
        ),
        "environment.memory": (
            ENVIRONMENT,
            "The memory does not suffice: lower --jobs or --memory-limit, or close other programs.",
        ),
        "environment.package": (
            ENVIRONMENT,
            "The Python package {package} cannot be used ({why}): install it in the backend's environment, "
            "or repair that from the plugin.",
        ),
        "environment.threads": (
            ENVIRONMENT,
            "The system allows no further thread: end other programs, or raise the limit of processes "
            "(ulimit -u).",
        ),
        "environment.worker": (
            ENVIRONMENT,
            "A worker process was ended from outside, as a system does that is short of memory: "
            "lower --jobs, or close other programs, and run again.",
        ),
        # running
        "run.cancelled": (CANCELLED, "Cancelled; nothing was written."),
        "run.internal": (
            INTERNAL,
            "Terramend failed in a way that it should not ({detail}); please report it with the log.",
        ),
    }
)


class TerramendError(Exception):
    """An error with a code that the tables above know.

    Args:
        code: key of `ERRORS`.
        arguments: values for the sentence's placeholders (JSON-serialisable).
    """

    def __init__(self, code: str, **arguments: Any) -> None:
        self.code = code
        self.arguments = arguments
        self.exit_status, template = ERRORS[code]
        super().__init__(template.format(**arguments))

    def to_json(self) -> dict[str, Any]:
        """The error as it stands in what `--json` prints and in the outcome of a batch's row."""
        return {"code": self.code, "arguments": self.arguments, "message": str(self)}

    def __reduce__(self) -> tuple[Any, ...]:  # keeps code and arguments across process borders
        return (partial(TerramendError, self.code, **self.arguments), ())
