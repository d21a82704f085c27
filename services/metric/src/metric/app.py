"""The only wiring: settings in, a running metric out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.artifacts import MetricPolicy
from contracts.keys import METRIC_POLICY
from kit.rpc import channel
from kit.service import Foundation
from kit.work import work_folder

from metric.handlers import Handlers, StructureHandlers
from metric.judging import Judge
from metric.learning_gain import LearningGains, Trials
from metric.models import RegistryModels
from metric.pictures.png import font_files
from metric.prediction import PredictionPool
from metric.service import Metric
from metric.settings import MetricSettings
from metric.store import Store
from metric.structures import Structures
from metric.training_frames import TrainingFrames


@asynccontextmanager
async def build(settings: MetricSettings, base: Foundation[MetricSettings]) -> AsyncIterator[None]:
    """Wire the service; it consumes and predicts until the block is left. Raises NoFonts."""
    # Better no service than one that judges and then cannot draw.
    font_files()
    await base.blobs.put_model(METRIC_POLICY, MetricPolicy(settings=settings.run_settings().numbers()))
    with work_folder(settings.work_folder) as folder:
        async with (
            PredictionPool(
                settings.prediction_processes, settings.prediction_threads, settings.prediction_timeout_seconds
            ) as predictions,
            channel(settings.registry_address, settings.registry_token, settings.registry_tls) as registry,
        ):
            models = RegistryModels(registry, base.blobs, folder, settings.registry_deadline_seconds)
            training = TrainingFrames(predictions, base.blobs, settings.work_folder / "training-frames")
            trials = Trials(
                settings.learning_gain_steps,
                settings.learning_gain_points,
                settings.learning_gain_seconds,
                settings.prediction_threads,
                settings.seed,
            )
            gains = LearningGains(predictions, base.blobs, folder, trials)
            judge = Judge(models, predictions, base.blobs, folder, training, gains)
            metric = Metric(Store(), models, judge, base.blobs, settings.run_settings())
            handlers = Handlers(base.database, metric, settings.max_attempts)
            base.bus.consume("metric-dataset-validated", handlers.on_dataset_validated, lanes=settings.lanes)
            # A lane of its own: who wants to see a run repeated never waits in line before new datasets.
            base.bus.consume("metric-rerun-requested", handlers.on_rerun_requested)
            structures = Structures(
                models, predictions, training, base.blobs, settings.run_settings(), settings.structure_seconds
            )
            sent = StructureHandlers(base.database, structures, settings.max_attempts)
            base.bus.consume("metric-prediction-structure-read", sent.on_structure_read)
            yield
