"""The label schemes: the 17 top-level IPTC Media Topics, and GermEval 2014's entity classes as BIO tags."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    slug: str
    qcode: str
    german: str
    english: str


TOPICS = [
    Topic(
        "arts", "medtop:01000000", "Kultur, Kunst, Unterhaltung und Medien", "arts, culture, entertainment and media"
    ),
    Topic("conflict", "medtop:16000000", "Krise, Krieg, Konflikte", "conflict, war and peace"),
    Topic("crime", "medtop:02000000", "Justiz, Kriminalität", "crime, law and justice"),
    Topic("disaster", "medtop:03000000", "Katastrophe und Unglück", "disaster, accident and emergency incident"),
    Topic("economy", "medtop:04000000", "Wirtschaft und Finanzen", "economy, business and finance"),
    Topic("education", "medtop:05000000", "Erziehung, Ausbildung", "education"),
    Topic("environment", "medtop:06000000", "Umwelt", "environment"),
    Topic("health", "medtop:07000000", "Medizin, Gesundheit", "health"),
    Topic("human_interest", "medtop:08000000", "Vermischtes", "human interest"),
    Topic("labour", "medtop:09000000", "Arbeit, Soziales", "labour"),
    Topic("lifestyle", "medtop:10000000", "Freizeit, Modernes Leben", "lifestyle and leisure"),
    Topic("politics", "medtop:11000000", "Politik", "politics and government"),
    Topic("religion", "medtop:12000000", "Religion, Weltanschauung", "religion"),
    Topic("science", "medtop:13000000", "Wissenschaft, Technik, Forschung", "science and technology"),
    Topic("society", "medtop:14000000", "Gesellschaft, Bevölkerung", "society"),
    Topic("sport", "medtop:15000000", "Sport", "sport"),
    Topic("weather", "medtop:17000000", "Wetter", "weather"),
]
TOPIC_INDEX = {topic.slug: index for index, topic in enumerate(TOPICS)}

# SIB-200's own labels; a sentence on geography has no top-level Media Topic.
SIB200_TOPICS = {
    "science/technology": ["science"],
    "politics": ["politics"],
    "sports": ["sport"],
    "health": ["health"],
    "entertainment": ["arts"],
    "travel": ["lifestyle"],
    "geography": [],
}

ENTITY_CLASSES = [name + form for name in ("PER", "LOC", "ORG", "OTH") for form in ("", "deriv", "part")]
ENTITY_TAGS = ["O"] + [f"{prefix}-{name}" for name in ENTITY_CLASSES for prefix in "BI"]
ENTITY_INDEX = {tag: index for index, tag in enumerate(ENTITY_TAGS)}
UNLABELLED = -100
