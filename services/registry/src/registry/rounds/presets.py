"""What the preset files say about machines. The rest of a preset is the trainer's business."""

from pathlib import Path

from contracts.recipe import PresetNeeds
from pydantic import BaseModel, ConfigDict, ValidationError

NOTHING = PresetNeeds()


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    needs: PresetNeeds = NOTHING


class Presets:
    """The needs of each preset; without a folder nothing is known, and every machine will do."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def needs(self, preset: str) -> PresetNeeds:
        """Read anew each time: who changes a file need not restart the registry. Raises ValueError."""
        if self._folder is None:
            return NOTHING
        path = self._folder / f"{preset}.json"
        try:
            return _Head.model_validate_json(path.read_text()).needs
        except OSError as error:
            raise ValueError(f"preset {path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ValueError(f"preset {path} is not valid: {error}") from error
