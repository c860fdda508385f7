from django.db import models


class Heartbeat(models.Model):
    """The last sign of life of a part that has no other: one row a name."""

    name = models.CharField(primary_key=True, max_length=50)
    at = models.DateTimeField()

    class Meta:
        db_table = "heartbeats"

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"
