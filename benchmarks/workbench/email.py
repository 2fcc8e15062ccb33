"""The mailbox: what came in and what went out."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks.workbench.clock import NOW
from benchmarks.workbench.declaring import declare, text
from benchmarks.workbench.table import Row, Table
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json

COLUMNS = ("email_id", "inbox/outbox", "sender/recipient", "subject", "sent_datetime", "body")
EMAIL_ID = text("8-digit id of the email.")
RECIPIENT = text("Email address of the recipient.")
BODY = text("Text of the email.")

INFORMATION = declare(
    "email_get_email_information_by_id",
    "Returns one field of an email, as an object.",
    {"email_id": EMAIL_ID, "field": text("Field to return.", COLUMNS)},
    required=["email_id", "field"],
)
SEARCH = declare(
    "email_search_emails",
    "Returns the emails with all words of the query in subject, text or address, sent within the days given.",
    {
        "query": text("Words of the subject, of the text, or of the sender's or recipient's address."),
        "date_min": text('First day. Format: "YYYY-MM-DD".'),
        "date_max": text('Last day. Format: "YYYY-MM-DD".'),
    },
)
SEND = declare(
    "email_send_email",
    "Sends an email.",
    {"recipient": RECIPIENT, "subject": text("Subject of the email."), "body": BODY},
    effect="write",
    required=["recipient", "subject", "body"],
)
DELETE = declare(
    "email_delete_email", "Deletes an email.", {"email_id": EMAIL_ID}, effect="write", required=["email_id"]
)
FORWARD = declare(
    "email_forward_email",
    "Forwards an email.",
    {"email_id": EMAIL_ID, "recipient": RECIPIENT},
    effect="write",
    required=["email_id", "recipient"],
)
REPLY = declare(
    "email_reply_email",
    "Replies to an email.",
    {"email_id": EMAIL_ID, "body": BODY},
    effect="write",
    required=["email_id", "body"],
)


class Email:
    """The emails, and the tools on them."""

    NAME: ClassVar[str] = "email"
    FILE: ClassVar[str] = "emails.csv"

    def __init__(self, emails: Table | None = None) -> None:
        self.emails = emails or Table("email_id", COLUMNS)

    @classmethod
    def read(cls, path: Path) -> Email:
        """Read the emails."""
        return cls(Table.read(path, "email_id", COLUMNS))

    def copy(self) -> Email:
        """Return a mailbox of its own."""
        return Email(self.emails.copy())

    def snapshot(self) -> Json:
        """Return the emails."""
        return [list[Json](row) for row in self.emails.snapshot()]

    def tools(self) -> list[HostTool]:
        """Return the tools of the mailbox."""
        return [
            HostTool(INFORMATION, self.get_email_information_by_id),
            HostTool(SEARCH, self.search_emails),
            HostTool(SEND, self.send_email),
            HostTool(DELETE, self.delete_email),
            HostTool(FORWARD, self.forward_email),
            HostTool(REPLY, self.reply_email),
        ]

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the subjects."""
        return {"subject": self.emails.values("subject")}

    def get_email_information_by_id(self, email_id: str = "", field: str = "") -> Row | str:
        """Return one field of an email."""
        email = self.emails.get(email_id)
        if email is None:
            return "Email not found."
        return {field: email[field]} if field in email else "Field not found."

    def search_emails(
        self, query: str | None = "", date_min: str | None = None, date_max: str | None = None
    ) -> list[Row]:
        """Return the emails with all words of the query, sent within the days."""
        words = (query or "").lower().split()

        def matches(email: Row) -> bool:
            contents = f"{email['subject']} {email['body']} {email['sender/recipient']}".lower()
            day = email["sent_datetime"][:10]
            return all(word in contents for word in words) and (date_min or "") <= day <= (date_max or "9999")

        return self.emails.where(matches)

    def send_email(self, recipient: str = "", subject: str = "", body: str = "") -> str:
        """Send an email."""
        if not recipient or not subject or not body:
            return "Recipient, subject, or body not provided."
        if "@" not in recipient or "." not in recipient:
            return "Invalid recipient email address."
        values = ("outbox", recipient.lower(), subject, str(NOW), body)
        self.emails.add(dict(zip(COLUMNS[1:], values, strict=True)))
        return "Email sent successfully."

    def delete_email(self, email_id: str = "") -> str:
        """Delete an email."""
        if self.emails.get(email_id) is None:
            return "Email not found."
        self.emails.delete(email_id)
        return "Email deleted successfully."

    def forward_email(self, email_id: str = "", recipient: str = "") -> str:
        """Send an email on to somebody else."""
        email = self.emails.get(email_id)
        if email is None:
            return "Email not found."
        sent = self.send_email(recipient, f"FW: {email['subject']}", email["body"])
        return sent.replace("sent", "forwarded")

    def reply_email(self, email_id: str = "", body: str = "") -> str:
        """Answer an email under its own subject."""
        email = self.emails.get(email_id)
        if email is None:
            return "Email not found."
        return self.send_email(email["sender/recipient"], email["subject"], body).replace("sent", "replied")
