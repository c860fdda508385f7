"""Splits the text of a reply into what its sender wrote and what was quoted."""

from receiving.reply_text.result import ReplyMethod, ReplyText
from receiving.reply_text.splitting import split

__all__ = ["ReplyMethod", "ReplyText", "split"]
