"""German texts of mixed lengths, the same for the same seed.

Lengths are log-normal, as in an archive of news: many short items, some long articles.
"""

import math
import random

SENTENCES = """\
Der Bundestag hat am Freitag nach langer Debatte den Haushalt für das kommende Jahr beschlossen.
Die Europäische Zentralbank in Frankfurt hält den Leitzins unverändert, wie Präsidentin Christine Lagarde sagte.
In München demonstrierten am Samstag mehrere Tausend Menschen für mehr Klimaschutz.
Der FC Bayern gewann das Spitzenspiel gegen Borussia Dortmund mit 3:1.
„Wir müssen jetzt handeln“, sagte die Ministerin der Deutschen Presse-Agentur in Berlin.
Bei einem schweren Unfall auf der A8 zwischen Ulm und Augsburg wurden am Morgen fünf Menschen verletzt.
Die EU-Kommission legte in Brüssel einen Entwurf für strengere Regeln vor.
Forscherinnen der Universität Tübingen haben einen neuen Wirkstoff gegen Malaria gefunden.
Volkswagen will in Wolfsburg bis 2030 rund 4000 Stellen streichen, teilte der Konzern mit.
Das Oberlandesgericht Karlsruhe sprach den Angeklagten in zweiter Instanz frei.
Am Wochenende bleibt es im Norden stürmisch, in den Alpen fällt Schnee bis auf 800 Meter.
Nach Angaben der Vereinten Nationen sind im Sudan Hunderttausende auf der Flucht.
Der Schriftsteller Daniel Kehlmann stellte sein neues Buch auf der Leipziger Messe vor.
Die Gewerkschaft Verdi ruft für Donnerstag zu Warnstreiks an den Flughäfen auf.
Bürger*innen im Stadtteil Berlin-Mitte wehren sich gegen den Ausbau der U-Bahn-Linie 5.
Papst Leo empfing im Vatikan eine Delegation der Evangelischen Kirche in Deutschland.
Die Zahl der Studierenden an bayerischen Hochschulen ist erneut gestiegen.
Siemens und die Deutsche Bahn haben einen Vertrag über neue Züge im Wert von zwei Milliarden Euro unterzeichnet.
""".splitlines()


def make_texts(n_texts: int, mean_words: float, seed: int) -> list[str]:
    """`n_texts` texts of `mean_words` words on average, all different."""
    generator = random.Random(seed)
    spread = 0.8
    centre = math.log(mean_words) - spread**2 / 2
    return [_text(generator, int(generator.lognormvariate(centre, spread)) + 5, number) for number in range(n_texts)]


def _text(generator: random.Random, n_words: int, number: int) -> str:
    words = [f"Meldung {number}:"]
    while len(words) < n_words:
        words += generator.choice(SENTENCES).split()
    return " ".join(words[:n_words])
