"""The small words of English that decide, or do not decide, what a question asks.

Closed classes of grammar and everyday spellings only: nothing here knows a trade or a company.
"""

import re

REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), written)
    for pattern, written in (
        (r"\bwon't\b", "will not"),
        (r"\bcan't\b|\bcannot\b", "can not"),
        (r"n't\b", " not"),
        (r"\b(what|who|when|where|how|it|that|there)'s\b", r"\1 is"),
        (r"'(?:s|d|m|re|ve|ll)?(?!\w)", " "),
        (r"(\d),(?=\d{3}\b)", r"\1"),
        (r"\b(\d+)(?:st|nd|rd|th)\b", r"\1"),
        (r"%|\bper cent\b|\bpercentage\b|\bproportion\b|\bshare(?= of)", " percent "),
        (r"([€$£]) ?(\d[\d.,]*)", r"\2 \1"),
        (r"€|\beuros\b", " euro "),
        (r"\$|\bdollars\b", " dollar "),
        (r"£", " pound "),
        (r"\bq1\b", "first quarter"),
        (r"\bq2\b", "second quarter"),
        (r"\bq3\b", "third quarter"),
        (r"\bq4\b", "fourth quarter"),
        (r"\be-mail", "email"),
        (r"\bonce\b|\bone time\b", "1 time"),
        (r"\btwice\b", "2 time"),
        (r"\bas well as\b", "and"),
        (r"\bother than\b|\bapart from\b|(?<=\bevery)thing but\b|(?<=\ball )but\b", " except"),
        (r"\b(?:am|is|are) (i|we|you|they|he|she) (?:required|obliged) to\b", r"must \1"),
        (r"\b(?:have|has) to\b", "must"),
        (r"\b(able|allowed|permitted|possible)(?: for (?:me|us|you))? to\b", r"\1"),
        (r"\bby (?:me|us|you)\b", ""),
        (r"^what happens when\b", "what happens if"),
        (r"\b(?:most recent|latest)\b", "newest"),
        (r"\binto\b", "to"),
        (r"\ba single\b", "one"),
        (r"\b(any|some)(?:one|body)\b", "someone"),
        (r"\btelephone\b", "phone"),
        (r"\bkg\b", "kilogram"),
        (r"\bkm\b", "kilometre"),
        (r"\bcm\b", "centimetre"),
        (r"\bmm\b", "millimetre"),
        (r"\bmg\b", "milligram"),
        (r"\bnm\b", "newton metre"),
        (r"\bliter", "litre"),
        (r"meter(?=s?\b)", "metre"),
        (r"(?<=\w\w)iz(?=e|es|ed|ing\b)", "is"),
        (r"\bfree of charge\b|\bwithout charge\b|\bat no cost\b", "free"),
        (r"\b(?:no|not) (?:more|later|longer) than\b|\bup to\b", " le "),
        (r"\b(?:no|not) (?:less|fewer|earlier) than\b", " ge "),
        (r"\b(\S+) or (?:more|above|over)\b", r" ge \1"),
        (r"\b(\S+) or (?:less|fewer|below|under)\b", r" le \1"),
        (r"\bat least\b", " ge "),
        (r"\bat most\b", " le "),
        (r"\b(?:more|greater|higher|larger|bigger) than\b|\b(?:over|more) (?=\d)", " gt "),
        (r"\babove\b|\bexceed(?:s|ing)?\b|\bin excess of\b", " gt "),
        (r"\b(?:less|fewer|lower|smaller) than\b|\bunder (?=\d)|\bbelow\b", " lt "),
        (r"\bbetween (.+?) and (?=\S)", r"from \1 to "),
        (
            r"\bfrom (\d+) to (\d+) (january|february|march|april|may|june|july|august"
            r"|september|october|november|december)\b",
            r"from \1 \3 to \2 \3",
        ),
        (
            r"\b(january|february|march|april|may|june|july|august|september|october|november"
            r"|december) (\d{1,2})\b",
            r"\2 \1",
        ),
        (r"\bmay-name\b|\bmay (?=\d{4})|(?<=\d )may\b|(?<=\bin )may\b", "may-month "),
    )
)
"""Other spellings of the same, in this order."""

NUMBERS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14",
    "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19",
    "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
    "eighty": "80", "ninety": "90", "hundred": "100",
}  # fmt: skip
"""Not "one", which is a pronoun more often."""

FRONTED = re.compile(
    r"^(?P<first>[^,?]{1,40}), (?P<asks>(?:how|what|which|who|when|where|why|is|are|was|were|can"
    r"|could|may|must|should|will|do|does|did|has|have|had)\b.*)$"
)
"""What may stand before a question: "in May, how many ..."."""
DEED_FIRST = re.compile(
    r"^i (?:need|want|would like|'d like) to (?P<deed>.+?)[,.;:]* (?:so )?"
    r"how (?:do|can|should) i do (?:that|it|this)$"
)
"""A deed and then how: "I want to cancel, how do I do that?"."""
POLITE = re.compile(
    r"(?:(?:please|hi|hello|hey|ok|so|and|also)\b[ ,]*)*"
    r"(?:(?:(?:can|could|would|will) you|i (?:would )?(?:like|want|need) you to) (?:please )?"
    r"(?=\w+))?(?:please )?"
    r"(?P<asks>(?:i (?:want|need|would like|d like) to (?:know|see)|tell (?:me|us)|let me know"
    r"|(?:show|give|get)(?: me| us)?|list|display|find|return|name|provide|i need)"
    r"\b[ ,:]*)?(?:(?:a|the) list of\b)?"
)
"""How a wish begins; `asks` is there where it is for an answer and not for a deed."""

PASSIVES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), active)
    for pattern, active in (
        (r"^(?P<be>is|are|was|were) (?P<it>.+?) (?P<done>\S+) by (?P<by>.+)$",
         "{do} {by} {done} {it}"),
        (r"^(?P<be>is|are|was|were) (?P<it>.+?) (?P<done>included) in (?P<by>.+)$",
         "{do} {by} {done} {it}"),
        (r"^(?P<wh>which|what|how many) (?P<it>.+?) (?P<be>is|are|was|were) (?P<done>\S+) by "
         r"(?P<by>.+)$", "{wh} {it} {do} {by} {done}"),
        (r"^(?P<can>can|may|could|must|should) (?P<it>.+?) be (?P<done>\S+) by (?P<by>.+)$",
         "{can} {by} {done} {it}"),
        (r"^(?P<can>(?:(?:how(?: often| long| soon)?|where|when|why) )?"
         r"(?:can|may|could|must|should)) (?P<it>.+?) be (?P<done>\S+)(?P<rest>.*)$",
         "{can} {done} {it}{rest}"),
        (r"^(?P<wh>which|what|how many) (?P<it>.+?) (?P<be>is|are|was|were) (?P<done>\S+)"
         r"(?P<rest>(?: .*)?)$", "{wh} {it} {do} it {done}{rest}"),
        (r"^(?P<have>has|have|had) (?P<it>.+?) been (?P<done>\S+) by (?P<by>.+)$",
         "{have} {by} {past} {it}"),
        (r"^(?P<be>is|are|was|were) (?P<it>\S+(?: \S+)?) (?P<done>\S+)(?P<rest>(?: .*)?)$",
         "{do} {done} {it}{rest}"),
    )
)  # fmt: skip
"""Passives and how the same is asked actively; `done` must be a past form."""

KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("why", r"^why\b|^for what reason\b|^what (?:is|was) the reason(?: for| why| that)?\b"),
        (
            "count",
            r"\bhow many\b(?! percent| times)|^count\b"
            r"|(?:^what (?:is|was) )?\b(?:the )?(?:total )?number of\b",
        ),
        (
            "cost",
            r"^how much(?= (?:is|are|was|were)\b)"
            r"|^(?:what|which|how much|the)\b(?=.*\b(?:cost|price)s?\b)",
        ),
        (
            "how long",
            r"^how much time\b|^until when\b|^within (?:what|which) time\b"
            r"|^(?:for |in )?how long\b(?! (?:is|was|are) the)",
        ),
        (
            "when",
            r"^when\b|^(?:at )?(?:what|which) time\b|^on (?:what|which) (?:date|day)\b"
            r"|^(?:what is )?the date of\b|^by when\b",
        ),
        (
            "how",
            r"^how(?= (?:do|does|did|can|could|to|should|may)\b)"
            r"|^what (?:do|must|should|can) (?:i|we|you)(?: must)? do(?= to\b)",
        ),
        ("how often", r"^how (?:often|frequently|many times)\b"),
        ("how soon", r"^how (?:soon|fast|quickly)\b"),
        ("how far", r"^how far\b"),
        ("how much", r"^how much\b"),
        ("what", r"^how (?:high|long|hot|big|large|heavy|many(?= percent))\b"),
        ("where", r"^where\b"),
        ("what", r"^(?:what|which|who)\b"),
    )
)
"""What is asked for, by how the question says it; the words that say it are taken out."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ASKING_FOR_YES = _words(
    "is are am was were do does did can could may might will would should has have had must"
)
LIGHT = _words(
    "a an the of in on at for this these those that which who whom what where there with "
    "about please do does did is are was were be been being am has have had having get gets got "
    "thanks kindly ever and will would shall possible allow allowed permit permitted able may can "
    "could should ought must how away currently presently exist exists people it its both "
    "period duration"
)
"""They say nothing that the others do not."""
AMOUNTS = _words("all any some each every")
"""Light where a list begins with it ("show all rooms"), not elsewhere ("are all rooms free?")."""
DETERMINERS = _words("the a an my our your his her their this these that those all any some")
"""After its first word they tell a deed ("open the invoices") from a list ("open invoices")."""
PERSONS = {
    **dict.fromkeys(_words("i me my mine myself we us our ours"), "first"),
    **dict.fromkeys(_words("you your yours"), "second"),
    **dict.fromkeys(_words("he him his she her hers they them their"), "third"),
}
"""Whose it is: light, but two questions that name different ones are different."""
DENYING = _words("not no never none neither nor without except nobody nothing")
BINDING = _words(
    "from before after since until without except against than gt lt ge le outside behind over "
    "under off near out by within into up down"
)
"""A question with one of these before a word asks something else than one without it."""
PLACING = _words("of in on at for with about")
"""Light, but what stands after one may stand elsewhere: "in May how many", "how many in May"."""
ALIKE = _words("of for in on at are")
"""Of these two questions may have different ones before the same word."""
PARTICLES = _words("off out up down over")
"""They go with their verb wherever they stand: "turn it off", "turn off"."""
COMPOUNDING = _words("of for are")
"""What stands after one may stand before its noun: "price of boots", "are open", "open tickets"."""
BEING = _words("is are was were been be")
TIMES = _words(
    "last next this today tomorrow yesterday now week weekend month quarter year morning evening "
    "monday tuesday wednesday thursday friday saturday sunday"
)
"""What says when may stand elsewhere too."""
DATES = _words("date deadline day")
"""Of these "when" and "what" ask the same."""
AMOUNTS_OF_MONEY = _words(
    "fee fine rate rent tax premium deposit discount salary wage deductible charge budget bill sum"
)
"""Of these "how much is" and "what is" ask the same."""
LEADING = BINDING | _words("to per inside through")
"""Two questions with different ones before the same word ask different things."""

SAME_WORDS = {
    "mean": "average", "maximum": "max", "maximal": "max", "most": "max", "highest": "max",
    "largest": "max", "biggest": "max", "greatest": "max", "minimum": "min", "minimal": "min",
    "least": "min", "fewest": "min", "lowest": "min", "smallest": "min", "till": "until",
    "vacation": "holiday", "terminate": "end", "price": "cost", "purchase": "buy",
    "available": "free", "distinct": "different", "unique": "different", "delete": "remove",
    "depart": "leave", "raise": "increase", "nearest": "closest", "require": "need",
    "necessary": "need", "required": "need", "needed": "need", "activate": "enable",
    "begin": "start", "identifier": "id", "reply": "answer", "big": "large", "summary": "summarise",
    "display": "show", "staffs": "staff", "every": "each", "view": "see", "switch": "turn",
    "obtain": "get", "receive": "get", "frequently": "often",
    "kid": "child", "fix": "repair", "alter": "change", "modify": "change", "contain": "include",
    "select": "choose", "pick": "choose", "assist": "help", "trip": "travel", "finish": "end",
    "forbid": "prohibit", "quick": "fast", "journey": "travel",
}  # fmt: skip
"""Words of one meaning in nearly every question, by their base forms."""

SMALL = LIGHT | PERSONS.keys() | DENYING | BINDING | PLACING | AMOUNTS
"""Words that say nothing by themselves."""
FILLERS = _words(
    "above again also as because below between but during few further give here if just let might "
    "more most now once only or other own same show so such tell then through to too very when "
    "whether while why"
)
"""Words of a question that need not stand where its answer does."""
HOW_MUCH = re.compile(
    r"\bhow (?:big|deep|far|fast|heavy|high|large|long|many|much|often|old|soon|tall|thick|wide)\b"
)
"""What asks for a number; the answer has the number instead."""
