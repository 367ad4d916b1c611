"""German texts for the reference values, each within 64 tokens."""

# Any input that a client may send: umlauts, quotation marks, emoji, odd spaces.
LOGIT_TEXTS = [
    "Berlin",
    "Angela Merkel sprach am Montag in München über die Außenpolitik.",
    "„Wir müssen handeln“, sagte Jürgen Müller (Siemens) in Köln!",
    "»Größe« und Maß: 3,5 % mehr für Österreich – trotz ÄÖÜ 😀.",
    "Die EU-Kommission\ntagt in Berlin-Mitte, U-Bahn Straße 5; Bürger*innen\u00a0protestieren.",
]

# Words separated by single spaces, without punctuation: here the pipeline mostly finds the same words.
PLAIN_TEXTS = [
    "Berlin",
    "Angela Merkel sprach am Montag in München",
    "Der FC Bayern gewann in Düsseldorf gegen Dortmund und Köln",
    "Käthe Größler lobte die Deutsche Bahn wegen der Überschwemmungen in Österreich",
    "Siemens und Volkswagen bauen Stellen in Wolfsburg ab sagte Olaf Scholz",
    "Forscherinnen aus Tübingen Heidelberg Zürich und Brüssel warnen vor dem Winter",
    "Angela Merkel und Olaf Scholz",
    "Olaf Scholz sprach in Berlin und München über Siemens",
    "Jürgen Müller sprach am Donnerstag in Köln über den Haushalt",
    "Annalena Baerbock kritisierte Siemens wegen Klimaschutz",
    "In Brüssel sprach Angela Merkel über Gesundheit",
    "Am Sonntag reisen Olaf Scholz und Jürgen Müller gemeinsam nach Österreich",
    "Bundestag Berlin Köln Düsseldorf München Siemens",
    "Wir sprachen über Österreich und Brüssel",
]

# For topics the whole text counts, so punctuation does no harm.
TOPIC_TEXTS = [
    *LOGIT_TEXTS,
    "Der Trainer lobte die Mannschaft nach dem Spiel gegen Dortmund.",
    "Die Zentralbank erhöht den Leitzins, der Dax verliert ein Prozent.",
]
