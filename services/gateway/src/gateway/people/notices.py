"""Mail when a stage ends, for those who asked for it."""

from contracts.base import DatasetRef
from kit.queries import Connection

from gateway.domain import Standing
from gateway.people.mail import Letter, letter
from gateway.settings import GatewaySettings
from gateway.store import Store

OUTCOMES: dict[str, tuple[str, str]] = {
    "rejected": ("it could not be read", "未能读取"),
    "not-passed": ("the check has ended, and it does not join the training", "检查已结束，不参与训练"),
    "passed": ("it passed the check and waits for training", "已通过检查，等待训练"),
    "published": ("a new model version has been published that it trained", "已发布由它训练的新模型版本"),
    "withheld": ("the training has ended; the model is not published", "训练已结束，模型未发布"),
    "failed": ("the training did not succeed; we look into it", "训练未成功，我们正在处理"),
}
"""What is told of which state, in English and Chinese."""


class Notices:
    """Writes at most one mail a state and contribution."""

    def __init__(self, store: Store, settings: GatewaySettings) -> None:
        self._letters = store.letters
        self._settings = settings

    async def tell(self, connection: Connection, ref: DatasetRef, now: Standing) -> None:
        """In the transaction that stores where the contribution stands. Nothing without SMTP."""
        if not self._settings.sends_mail or now.state not in OUTCOMES:
            return
        owner = await self._letters.who_wants_notices(connection, ref)
        if owner is None or not await self._letters.first_notice(connection, ref, now.state):
            return
        link = f"{self._settings.site_url}/datasets/{ref.dataset_id}"
        outcome = OUTCOMES[now.state][1 if owner["language"] == "zh" else 0]
        told = letter(owner["language"], Letter.STAGE, dataset=owner["name"], outcome=outcome, link=link)
        await self._letters.add(connection, owner["email"], told.subject, told.body)
