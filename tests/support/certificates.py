"""Certificates for one test: two authorities, a server, and clients good and bad."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Authority:
    """Signs certificates; every file lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def sign(self, name: str, *, lifetime: timedelta = timedelta(days=1)) -> tuple[Path, Path]:
        """(certificate, key) for a host or a worker; a negative lifetime has ended already."""
        now = datetime.now(UTC)
        signed = self._authority.issue_cert(name, not_before=now - timedelta(days=2), not_after=now + lifetime)
        certificate = self._folder / f"{len(list(self._folder.iterdir()))}.pem"
        key = certificate.with_suffix(".key")
        certificate.write_bytes(b"".join(one.bytes() for one in signed.cert_chain_pems))
        key.write_bytes(signed.private_key_pem.bytes())
        return certificate, key
