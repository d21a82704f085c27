"""`python -m ingest`"""

from kit.service import run

from ingest.app import build
from ingest.settings import IngestSettings

if __name__ == "__main__":
    run("ingest", IngestSettings(), build)
