"""Mails: their words, and the post office that sends what waits in the table."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from enum import Enum

import aiosmtplib
from kit.db import Database
from kit.logs import get_logger

from gateway.settings import GatewaySettings
from gateway.store import Store

log = get_logger(__name__)

IDLE_SECONDS = 2.0
DELAYS_SECONDS = (60, 300, 900, 3600, 10800, 21600, 43200)
"""Before each further try: about a day in all."""
REFUSED = range(500, 600)


class Letter(Enum):
    """The letters that we write: English and Chinese, subject first."""

    RESET = (
        (
            "Your link to a new password",
            "Hello {name},\n\nsomebody, we hope you, asked for a new password for your Potluck account. This link lets"
            " you choose one. It works once, within {hours} hours:\n\n{link}\n\nIf it was not you, do nothing: your"
            " password stays as it is.\n",
        ),
        (
            "设置新密码的链接",
            "{name}，您好：\n\n有人（希望是您本人）请求为您的 Potluck 账号设置新密码。请用下面的链接设置，"
            "链接只能使用一次，{hours} 小时内有效：\n\n{link}\n\n如果不是您本人操作，无需理会：密码不会改变。\n",
        ),
    )
    STAGE = (
        (
            "{dataset}: {outcome}",
            "Hello,\n\nyour dataset “{dataset}”: {outcome}.\n\nSee what was found:\n{link}\n\nYou get this mail because"
            " you asked for it on your account's page, where you can also turn it off.\n",
        ),
        (
            "{dataset}：{outcome}",
            "您好：\n\n您的数据集“{dataset}”：{outcome}。\n\n详情：\n{link}\n\n您在账号页面开启了邮件通知，因此收到此邮件；"
            "也可以在那里关闭。\n",
        ),
    )
    WEBHOOK = (
        (
            "Your webhook is switched off",
            "Hello,\n\nyour webhook {url} has not taken any event for a day, or says that it is gone. We have stopped"
            " sending to it. What it missed is kept for a while: switch it on again and it is sent.\n\n{link}\n",
        ),
        (
            "您的 Webhook 已停用",
            "您好：\n\n您的 Webhook {url} 一天来没有接收任何事件，或表示地址已不存在。我们已停止向它发送。"
            "错过的事件会保留一段时间：重新启用后会补发。\n\n{link}\n",
        ),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """A mail in somebody's language."""

    subject: str
    body: str


def letter(language: str, kind: Letter, **values: str) -> Written:
    """Line breaks in values become spaces: nobody writes into the head of a mail."""
    subject, body = kind.value[1 if language == "zh" else 0]
    plain = {name: " ".join(value.split()) for name, value in values.items()}
    return Written(subject.format(**plain), body.format(**plain))


class PostOffice:
    """Sends what waits, one after the other; each mail leaves the table when the server has taken it."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._letters = store.letters
        self._settings = settings

    async def run(self) -> None:
        """Until cancelled. Whatever fails waits for the next time."""
        while True:
            try:
                while await self.send_one():
                    pass
            except Exception as error:  # the database is away: mails wait in it
                log.warning("mail-waits", error=repr(error))
            await asyncio.sleep(IDLE_SECONDS)

    async def send_one(self) -> bool:
        """False when nothing is due."""
        async with self._database.transaction() as connection:
            row = await self._letters.due(connection)
            if row is None:
                return False
            try:
                await self._send(row["recipient"], row["subject"], row["body"])
            except (aiosmtplib.SMTPException, OSError) as error:
                refused = isinstance(error, aiosmtplib.SMTPResponseException) and error.code in REFUSED
                if refused or row["attempts"] >= len(DELAYS_SECONDS):
                    log.error("mail-given-up", mail=row["mail_id"], attempts=row["attempts"] + 1, error=repr(error))
                    await self._letters.remove(connection, row["mail_id"])
                else:
                    log.warning("mail-postponed", mail=row["mail_id"], error=repr(error))
                    await self._letters.postpone(connection, row["mail_id"], DELAYS_SECONDS[row["attempts"]])
            else:
                await self._letters.remove(connection, row["mail_id"])
        return True

    async def _send(self, recipient: str, subject: str, body: str) -> None:
        settings = self._settings
        message = EmailMessage()
        message["From"] = settings.mail_from
        message["To"] = recipient
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2].rstrip(">"))
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
        await aiosmtplib.send(
            message,
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password.get_secret_value() or None,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=30,
        )
