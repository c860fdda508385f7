"""What mail clients write around quotes, forwards and signatures, in the languages they speak.

All words are casefolded.
"""

from typing import Final

FULLWIDTH_COLON: Final = "\N{FULLWIDTH COLON}"

# Verbs of attribution lines. Where the name comes last, the verb is in the middle of the line.
WRITER_WORDS: Final = frozenset(
    {"wrote", "writes", "schrieb", "schreibt", "geschrieben", "écrit", "escribió", "escribio"}
    | {"scritto", "scrive", "schreef", "geschreven", "escreveu", "napisał", "napisała"}
    | {"napisana", "pisze", "skrev", "kirjoitti", "napsal", "napsala", "napísal", "írta"}
    | {
        "написал",
        "написала",
        "пишет",
        "пише",
        "yazd\N{LATIN SMALL LETTER DOTLESS I}",
        "scris",
        "έγραψε",
        "viết",
        "כתב",
        "كتب",
    }
)
# Of languages that write no blanks between words.
WRITER_PARTS: Final = ("写道", "寫道", "書きました", "のメール", "작성", "썼습니다")

# How an attribution line starts, when it is wrapped and starts above its verb.
ATTRIBUTION_STARTS: Final = frozenset(
    {"on", "am", "le", "el", "il", "op", "em", "w", "dnia", "den", "på", "dne", "in", "a", "às"}
    | {"à", "um", "wiadomość", "в", "在", "於"}
)

_HEADERS: Final = {
    "from": (
        *("from", "von", "absender", "de", "expéditeur", "remitente", "da", "mittente", "van"),
        *("afzender", "remetente", "od", "nadawca", "från", "avsändare", "fra", "lähettäjä"),
        *("odesílatel", "feladó", "от", "від", "发件人", "寄件者", "寄件人", "差出人", "送信者"),
        *("보낸 사람", "보낸사람", "gönderen", "kimden", "de la", "από", "từ"),
    ),
    "date": (
        *("sent", "date", "gesendet", "gesendet am", "datum", "envoyé", "envoyé le", "enviado"),
        *("enviado el", "enviada el", "enviado em", "enviada em", "enviada", "fecha", "inviato"),
        *("data", "verzonden", "wysłano", "wysłane", "skickat", "sendt", "dato", "lähetetty"),
        *("päivämäärä", "päiväys", "pvm", "odesláno", "elküldve", "отправлено", "дата"),
        *("надіслано", "发送时间", "发送日期", "日期", "寄件日期", "傳送時間", "日時", "日付"),
        *("送信日時", "送信日", "날짜", "보낸 날짜", "gönderildi", "tarih", "trimis", "στάλθηκε"),
        *("ngày",),
    ),
    "to": (
        *("to", "an", "empfänger", "à", "a", "destinataire", "para", "destinatario", "aan"),
        *("do", "adresat", "till", "til", "vastaanottaja", "komu", "címzett", "кому", "收件人"),
        *(
            "收件者",
            "宛先",
            "받는 사람",
            "받는사람",
            "kime",
            "al\N{LATIN SMALL LETTER DOTLESS I}c\N{LATIN SMALL LETTER DOTLESS I}",
            "către",
            "προς",
            "đến",
        ),
    ),
    "cc": (
        *("cc", "kopie", "kopie (cc)", "copie à", "copie", "copia", "dw", "udw", "kopia"),
        *("kopi", "kopio", "másolatot kap", "копия", "копія", "抄送", "副本", "참조", "bilgi"),
    ),
    "subject": (
        *("subject", "betreff", "objet", "sujet", "asunto", "oggetto", "onderwerp", "assunto"),
        *("temat", "ämne", "emne", "aihe", "předmět", "tárgy", "тема", "主题", "主題", "主旨"),
        *("件名", "제목", "konu", "subiect", "θέμα", "chủ đề"),
    ),
    "reply-to": (
        *("reply-to", "reply to", "antwort an", "antworten an", "répondre à", "responder a"),
        *("rispondi a", "antwoord aan", "odpowiedz do", "svara till", "返信先"),
    ),
    "other": (
        *("importance", "priority", "attachments", "wichtigkeit", "priorität", "anlagen"),
        *("importance haute", "pièces jointes", "importancia", "datos adjuntos", "priorità"),
        *("allegati", "urgentie", "bijlagen", "prioridade", "anexos", "ważność", "załączniki"),
        *("prioritet", "bifogade filer", "organization", "organisation"),
    ),
    "bcc": ("bcc", "cci", "cco", "ccn", "bk"),
    "message-id": ("message-id",),
}
HEADER_KINDS: Final = {word: kind for kind, words in _HEADERS.items() for word in words}

ORIGINAL_MESSAGE: Final = frozenset(
    {"original message", "original-nachricht", "originalnachricht", "ursprüngliche nachricht"}
    | {
        "ursprüngliche mail",
        "message d'origine",
        "message d\N{RIGHT SINGLE QUOTATION MARK}origine",
        "message original",
    }
    | {"mensaje original", "messaggio originale", "messaggio original", "original appointment"}
    | {"oorspronkelijk bericht", "origineel bericht", "mensagem original", "wiadomość oryginalna"}
    | {"oryginalna wiadomość", "ursprungligt meddelande", "originalmeddelande"}
    | {"oprindelig meddelelse", "original meddelelse", "opprinnelig melding"}
    | {"alkuperäinen viesti", "původní zpráva", "eredeti üzenet", "исходное сообщение"}
    | {"пересылаемое сообщение", "原始邮件", "原始郵件", "元のメッセージ", "原本メッセージ"}
    | {"원본 메시지", "orijinal mesaj", "orjinal mesaj", "mesaj original", "reply message"}
)
FORWARDED_MESSAGE: Final = frozenset(
    {"forwarded message", "begin forwarded message", "forwarded email", "forwarded by"}
    | {"weitergeleitete nachricht", "anfang der weitergeleiteten nachricht"}
    | {"anfang der weitergeleiteten e-mail", "message transféré", "message transmis"}
    | {"message réexpédié", "début du message réexpédié", "début du message transféré"}
    | {"mensaje reenviado", "inicio del mensaje reenviado", "messaggio inoltrato"}
    | {"inizio messaggio inoltrato", "inizio del messaggio inoltrato", "doorgestuurd bericht"}
    | {"begin doorgestuurd bericht", "mensagem encaminhada", "mensagem reencaminhada"}
    | {"início da mensagem encaminhada", "início da mensagem reencaminhada"}
    | {"wiadomość przekazana dalej", "przekazana wiadomość", "wiadomość przekazana"}
    | {"początek przekazywanej wiadomości", "vidarebefordrat meddelande"}
    | {"vidarebefordrat brev", "påbörjat vidarebefordrat meddelande", "videresendt meddelelse"}
    | {"start på videresendt besked", "videresendt melding", "videresendt e-post"}
    | {"välitetty viesti", "edelleenlähetetty viesti", "välitetty viesti alkaa"}
    | {"přeposlaná zpráva", "továbbított üzenet", "пересланное сообщение"}
    | {"начало переадресованного сообщения", "转发的邮件", "转发邮件", "轉寄郵件", "転送メッセージ"}
    | {"転送されたメッセージ", "전달된 메시지", "yönlendirilen mesaj", "iletilmiş mesaj"}
)

REPLY_PREFIXES: Final = frozenset(
    {"re", "aw", "sv", "antw", "antwort", "odp", "r", "rif", "res", "vs", "vá", "ynt", "yan"}
    | {"réf", "rép", "ref", "ответ", "на", "答复", "回复", "回覆", "返信", "回信", "답장", "회신"}
)
FORWARD_PREFIXES: Final = frozenset(
    {"fwd", "fw", "wg", "tr", "rv", "i", "enc", "vb", "pd", "doorst", "vl", "vid", "ilt"}
    | {"továbbítás", "пересл", "转发", "轉寄", "転送", "전달"}
)

# A footer starts with one of these and names one of the products.
FOOTER_STARTS: Final = (
    *("sent from", "sent with", "sent via", "get outlook for", "gesendet von", "gesendet mit"),
    *("diese nachricht wurde von meinem", "outlook für ", "holen sie sich outlook", "envoyé de"),
    *("envoyé depuis", "envoyé avec", "envoyé à partir", "provenance :", "télécharger outlook"),
    *("obtenir outlook", "enviado desde", "enviado con ", "obtener outlook", "obtén outlook"),
    *("inviato da", "inviato con", "inviato dal", "scarica outlook", "ottieni outlook"),
    *("verstuurd vanaf", "verzonden vanaf", "verzonden vanuit", "verzonden met", "verzonden via"),
    *("outlook voor ", "download outlook", "wysłane z", "wysłano z", "pobierz ", "enviado do "),
    *("enviado da ", "enviado com", "enviado a partir", "enviado de", "enviado via", "obter o "),
    *("obter outlook", "baixe o outlook", "skickat från", "skickat med", "hämta outlook", "ios 版"),
    *("ios版", "android 版", "android版", "sendt fra", "sendt med", "hent outlook", "lähetetty"),
    *("hanki outlook", "odesláno z", "získat outlook", "发自", "從我的", "傳送自", "获取"),
    *("отправлено \N{CYRILLIC SMALL LETTER ES}", "отправлено из"),
)
FOOTER_PRODUCTS: Final = (
    *("iphone", "ipad", "ios", "android", "outlook", "proton", "yahoo", "gmail", "galaxy"),
    *("samsung", "huawei", "xiaomi", "blackberry", "k-9", "fairemail", "thunderbird", "aol"),
    *("windows", "my phone", "smartphone", "mobile", "mobilgerät", "mon appareil", "mobiele"),
    *("superhuman", "mailspring", "spark", "mailbird", "gmx", "web.de", "telefonu", "mobilen"),
    *("мобиль", "mail.ru"),
)
# Or it starts and ends with these.
FOOTER_FRAMES: Final = (
    *(
        ("von mein", "gesendet"),
        ("iphone", "から送信"),
        ("ipad", "から送信"),
        ("android", "から送信"),
    ),
    *(("나의 ", "보냄"), ("내 ", "보냄"), ("iphone", "gönderildi"), ("ipad", "gönderildi")),
)
# The first line below the ruler of a list's footer has one of these.
LIST_FOOTER_WORDS: Final = ("mailing list", "mailingliste", "liste de diffusion", "mailinglijst")

DISCLAIMER_STARTS: Final = (
    *("this e-mail", "this email", "this message", "this communication", "the information"),
    *("the contents of this", "the content of this", "confidentiality", "disclaimer", "notice:"),
    *("diese e-mail", "diese nachricht", "diese mail", "der inhalt dieser", "ce message"),
    *("ce courriel", "cet e-mail", "ce mail", "les informations contenues", "este mensaje"),
    *("este correo", "este e-mail", "este email", "la información", "questo messaggio"),
    *("questa e-mail", "le informazioni", "dit bericht", "deze e-mail", "de informatie"),
    *("esta mensagem", "a informação", "as informações", "ta wiadomość", "niniejsza wiadomość"),
    *("detta meddelande", "detta e-post", "denna e-post", "このメール", "本メール", "このe"),
)
DISCLAIMER_WORDS: Final = (
    *("confidential", "privileged", "vertraulich", "confidentiel", "confidencial", "riservat"),
    *("confidenzial", "vertrouwelijk", "poufn", "konfidentiell", "sekretess", "機密", "秘密"),
)
