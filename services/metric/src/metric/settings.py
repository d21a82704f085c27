"""What the metric service is told. Every threshold of every rule is here, with its unit in its name."""

import os
import tempfile
from pathlib import Path

from kit.settings import ServiceSettings, service_config
from kit.tls import RegistryTlsSettings
from pydantic import Field, SecretStr

from metric.domain.limits import Limits
from metric.domain.run_settings import RunSettings, Share


class MetricSettings(ServiceSettings, RegistryTlsSettings):
    """Thresholds: pipeline of the design, §2."""

    model_config = service_config("metric")

    registry_address: str = Field(default="127.0.0.1:50051", description="host:port of the registry's gRPC")
    registry_token: SecretStr | None = Field(default=None, description="bearer token of the registry, if it asks")
    registry_deadline_seconds: float = Field(default=10, gt=0, description="how long one question to it may take")

    work_folder: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / f"potluck-metric-{os.getuid()}",
        description="models and datasets while they are judged; several workers may share it",
    )
    lanes: int = Field(default=1, ge=1, description="datasets judged at a time; their predictions take turns")
    max_frames: int = Field(default=2000, ge=1, description="most frames of a dataset that the model predicts")
    seed: int = Field(default=1, ge=0, description="of the sample when there are more, and of what pictures show")
    prediction_processes: int = Field(
        default=0,
        ge=0,
        description="most processes that predict at a time; 0: one a core, at most four. With a GPU there is one",
    )
    prediction_threads: int = Field(
        default=1, ge=1, description="CPU threads of each of them; small models lose by more than one"
    )
    prediction_timeout_seconds: float = Field(
        default=3600, gt=0, description="one branch on a part of the frames; longer means that the process hangs"
    )
    structure_seconds: float = Field(
        default=300, gt=0, description="longest that somebody waits for the prediction of a structure of their own"
    )
    known_frames_per_branch: int = Field(
        default=500, ge=0, description="training frames of a branch that new ones are compared with; 0: none are"
    )
    known_frames: int = Field(default=5000, ge=1, description="the same of all branches together")
    learning_gain_steps: int = Field(
        default=0, ge=0, description="steps of each short training that shows what the model gains; 0: none"
    )
    learning_gain_points: tuple[float, ...] = Field(
        default=(0.25, 0.5, 1.0), min_length=1, description="parts of the training frames that they are made on, 0..1"
    )
    learning_gain_seconds: float = Field(
        default=900, gt=0, description="most time for all of them; longer, and the report comes without the curve"
    )

    force_fail_ev_per_angstrom: float = Field(default=50, gt=0, description="force-cap: fail above")
    force_warn_ev_per_angstrom: float = Field(default=20, gt=0, description="force-cap: warn above")
    distance_fail_ratio: float = Field(
        default=0.5, gt=0, description="min-distance: fail below this part of the sum of covalent radii"
    )
    distance_warn_ratio: float = Field(default=0.6, gt=0, le=2, description="min-distance: warn below")
    net_force_fail_mev_per_angstrom: float = Field(
        default=10, gt=0, description="net-force: fail above, the sum of forces per atom"
    )
    net_force_warn_mev_per_angstrom: float = Field(default=1, gt=0, description="net-force: warn above")
    energy_fail_ev_per_atom: float = Field(
        default=1,
        gt=0,
        description="energy-outlier: fail above, residual of the robust fit on composition less what forces explain",
    )
    energy_warn_robust_z: float = Field(default=8, gt=0, description="energy-outlier: warn above, robust z")
    virial_fail_ratio: float = Field(default=1e-2, gt=0, description="virial-symmetry: fail above, ‖W − Wᵀ‖/‖W‖")
    virial_warn_ratio: float = Field(default=1e-4, gt=0, description="virial-symmetry: warn above")
    max_failed_fraction: float = Field(
        default=0.05, ge=0, le=1, description="a dataset is sound when at most this part of its frames fails"
    )
    new_below_coverage: float = Field(
        default=0.90, gt=0, le=1, description="a dataset is new when less than this part of it is covered"
    )
    correlation_floor: float = Field(
        default=0.2, ge=0, le=1, description="plausible-labels: correlation of forces below this says unrelated"
    )
    sign_correlation: float = Field(
        default=0.6, ge=0, le=1, description="plausible-labels: least |correlation| to say that the sign is turned"
    )
    unit_correlation: float = Field(
        default=0.8, ge=0, le=1, description="plausible-labels: least |correlation| to name a wrong unit"
    )
    partly_known_correlation: float = Field(
        default=0.9, ge=0, le=1, description="plausible-labels: the same for either, beside elements new to the branch"
    )
    consistent_steps: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="consistent-labels: least part of nearly equal frames whose energies differ "
        "by the work of their forces",
    )
    understood_correlation: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="plausible-labels: of energies, from which on forces may be called unrelated",
    )
    long_bond_ratio: float = Field(
        default=1.6, gt=1, description="plausible-lengths: closest atoms beyond this part of the sum of covalent radii"
    )
    energy_correlation: float = Field(
        default=0.8, ge=0, le=1, description="plausible-energies: least |correlation| to name a wrong sign or unit"
    )
    virial_correlation: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="plausible-virials: least |correlation| to name a wrong sign; a unit needs 0.8",
    )

    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.__dataclass_fields__})

    def run_settings(self) -> RunSettings:
        """What a run that begins now is told."""
        share = Share(self.known_frames_per_branch, self.known_frames)
        return RunSettings(self.limits(), self.max_frames, self.seed, share)
