"""Ids and times of the examples: they fit together, and look like real ones."""

EMAIL = "0197a3c4-5d6e-7f80-9a1b-2c3d4e5f6071"
SECOND_EMAIL = "0197a3c4-5d6e-7f80-9a1b-2c3d4e5f6072"
EVENT = "whd_0197a3c4-6a7b-7c8d-8e9f-0a1b2c3d4e5f"
FACT = "0197a3c4-6a7b-7c8d-8e9f-0a1b2c3d4e5f"
WEBHOOK = "0197a3b0-1122-7344-9566-778899aabbcc"
ATTEMPT = "0197a3c4-7b8c-7d9e-8fa0-1b2c3d4e5f60"
RECOVERY = "0197a3d1-0a0b-7c0d-8e0f-101112131415"
DOMAIN = "0197a3a0-0f1e-7d2c-8b3a-495867768594"
API_KEY = "0197a39f-1a2b-7c3d-8e4f-5a6b7c8d9e0f"
CONTACT = "0197a3c0-2b3c-7d4e-9f50-617283940a1b"
SUPPRESSION = "0197a3c5-3c4d-7e5f-8a60-718293a4b5c6"
ATTACHMENT = "0197a3c4-5d6e-7f80-9a1b-2c3d4e5f6080"
POD = "0197a3a1-4d5e-7f60-8172-8394a5b6c7d8"
INBOX = "0197a3a2-5e6f-7081-9283-a4b5c6d7e8f9"

# The domain that `make run` has verified, so that "Try it out" works there at once.
FROM = "Shop <hello@demo.opensend.test>"
TO = "ada@example.org"
CREATED = "2026-05-10T09:12:44.125Z"
LATER = "2026-05-10T09:12:46.310Z"
TOMORROW = "2026-05-11T09:00:00.000Z"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 (an example)
PUBLIC_KEY = "whpk_0LUkO1x5z5dP9gXJt3yF6sT2bKq7mN8vRwEeHhYcA1o="
TOKEN = "os_J5s5nf2MfLYPI673UAHFDq8jxW4Jb0AX"  # noqa: S105 (an example)
MESSAGE_ID = "<010001a2241a99ae-eedc9eca-07c7-4f7b-b1a9-f2d18f187a9d-000000@email.amazonses.com>"
PROVIDER_ID = "010001a2241a99ae-eedc9eca-07c7-4f7b-b1a9-f2d18f187a9d-000000"
