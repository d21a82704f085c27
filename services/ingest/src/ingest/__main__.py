"""`python -m ingest`"""

from kit.service import run
from kit.settings import told

from ingest.app import build
from ingest.settings import IngestSettings

if __name__ == "__main__":
    run("ingest", told(IngestSettings), build)
