"""`python -m metric`."""

from kit.service import run
from kit.settings import told

from metric.app import build
from metric.settings import MetricSettings

if __name__ == "__main__":
    run("metric", told(MetricSettings), build)
