"""Ed25519 signatures of what the registry vouches for."""

import base64
import hashlib

from contracts.signed import Receipt, Signature, SignedFile, SignedReceipt, canonical, plain
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer:
    """Holds the private key. `key_id` and `public_key` may be told to everybody."""

    def __init__(self, seed: str) -> None:
        """`seed`: 64 hex digits."""
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        public = self._key.public_key().public_bytes_raw()
        self.public_key = base64.b64encode(public).decode()
        self.key_id = hashlib.sha256(public).hexdigest()[:16]

    def sign(self, data: bytes) -> Signature:
        return Signature(key_id=self.key_id, value=base64.b64encode(self._key.sign(data)).decode())

    def receipt(self, receipt: Receipt) -> SignedReceipt:
        return SignedReceipt(receipt=receipt, signature=self.sign(canonical(plain(receipt.model_dump(mode="json")))))

    def file(self, name: str, data: bytes) -> SignedFile:
        digest = hashlib.sha256(data).hexdigest()
        return SignedFile(name=name, sha256=digest, size=len(data), signature=self.sign(data))
