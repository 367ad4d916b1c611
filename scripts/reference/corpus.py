"""German sentences that the tiny tokenizers are trained on.

Sentences written for this purpose, and more of them filled into patterns, so that
names, umlauts, quotation marks and compounds turn up often enough to become tokens.
"""

import itertools
import random

WRITTEN = """\
Die Bundesregierung hat am Mittwoch den Haushalt für das kommende Jahr beschlossen.
Der Bundestag stimmte nach langer Debatte mit großer Mehrheit für das Gesetz.
„Wir müssen jetzt handeln“, sagte die Ministerin am Abend in Berlin.
»Das ist ein guter Tag für Europa«, erklärte der Präsident in Brüssel.
Die EU-Kommission schlägt neue Regeln für künstliche Intelligenz vor.
In München kamen am Samstag mehr als zwanzigtausend Menschen zu einer Kundgebung.
Der FC Bayern gewann das Spiel gegen Borussia Dortmund mit drei zu zwei Toren.
Der Trainer lobte nach dem Abpfiff die geschlossene Leistung seiner Mannschaft.
Die Polizei nahm in Köln zwei Verdächtige fest und stellte mehrere Waffen sicher.
Ein Gericht in Karlsruhe hob das Urteil gegen den früheren Vorstand auf.
Der Autobauer Volkswagen baut in Wolfsburg bis zu fünftausend Stellen ab.
Siemens meldet für das dritte Quartal einen Gewinn von zwei Milliarden Euro.
Die Europäische Zentralbank in Frankfurt erhöht den Leitzins um einen Viertelpunkt.
An der Börse gaben die Kurse nach, der Dax verlor ein Prozent.
Forscherinnen der Universität Heidelberg haben ein neues Verfahren entwickelt.
Ärzte warnen vor einer Überlastung der Krankenhäuser im Winter.
Das Robert Koch-Institut zählt so viele Grippefälle wie seit Jahren nicht mehr.
Schülerinnen und Schüler sollen künftig länger gemeinsam lernen.
Die Gewerkschaft Verdi ruft zu Warnstreiks im öffentlichen Dienst auf.
Bahnreisende müssen sich am Freitag auf Verspätungen und Ausfälle einstellen.
Die U-Bahn in Hamburg fährt wegen Bauarbeiten nur alle zwanzig Minuten.
Ein Erdbeben der Stärke sechs hat den Süden der Türkei erschüttert.
Bei Überschwemmungen in Österreich kamen mindestens drei Menschen ums Leben.
Der Deutsche Wetterdienst warnt vor Sturmböen und starkem Regen an der Nordsee.
Auf der Berlinale feierte der Film einer jungen Regisseurin Premiere.
Die Elbphilharmonie eröffnet die Saison mit einem Konzert der Wiener Philharmoniker.
Der Roman der Autorin erzählt von einer Kindheit in der DDR.
Papst Franziskus rief in Rom zum Frieden im Nahen Osten auf.
Die Vereinten Nationen fordern einen sofortigen Waffenstillstand.
Präsident Wolodymyr Selenskyj traf sich in Paris mit Emmanuel Macron.
Bundeskanzlerin Angela Merkel empfing den Gast im Weißen Saal.
Olaf Scholz reiste mit einer Wirtschaftsdelegation nach Peking.
Der Klimawandel trifft die Alpen stärker als andere Regionen Europas.
Landwirte protestieren gegen die Kürzung der Zuschüsse für Diesel.
Greenpeace wirft dem Konzern vor, Messwerte geschönt zu haben.
Die Deutsche Bahn investiert Milliarden in die Sanierung ihrer Strecken.
Der Bürgermeister von Düsseldorf eröffnete die neue Brücke über den Rhein.
Im Prozess um den Überfall auf einen Geldtransporter fordert die Anklage zwölf Jahre.
Die Feuerwehr löschte den Brand in der Straße am Schlossgarten binnen einer Stunde.
Nach Angaben der Behörden wurde niemand verletzt, der Schaden ist jedoch groß.
Die Zahl der Arbeitslosen sank im März auf zweieinhalb Millionen.
Experten rechnen damit, dass die Preise für Lebensmittel weiter steigen.
Die Mieten in den Großstädten sind erneut um fünf Prozent gestiegen.
Der Verein feiert am Wochenende sein hundertjähriges Bestehen.
Zum Auftakt der Festspiele in Bayreuth regnete es in Strömen.
Die Sängerin aus Zürich veröffentlicht im Herbst ihr drittes Album.
Bei den Olympischen Spielen holte die Schwimmerin überraschend Gold.
Der Rennfahrer aus Kerpen verpasste das Podium nur knapp.
Das Unternehmen SAP mit Sitz in Walldorf stellt tausend Entwickler ein.
Die Raumsonde der Esa funkt seit gestern Bilder vom Mars zur Erde.
Astronomen haben einen Planeten entdeckt, der seiner Sonne sehr nahe kommt.
Die Bürger*innen wurden über den Ausbau der Windkraft schlecht informiert.
Das Schloss Sanssouci in Potsdam bleibt wegen Renovierung geschlossen.
In Sachsen-Anhalt wird im Frühjahr ein neuer Landtag gewählt.
Nordrhein-Westfalen und Baden-Württemberg lehnen den Vorschlag ab.
CDU und SPD einigten sich in der Nacht auf einen Koalitionsvertrag.
Die Grünen fordern mehr Tempo beim Ausbau der Schienen.
Robert Habeck und Christian Lindner stritten öffentlich über die Steuern.
Der Ökonom hält die Schuldenbremse für nicht mehr zeitgemäß.
Frau Müller-Lüdenscheidt wohnt seit vierzig Jahren in Berlin-Mitte.
„Ich weiß nicht, wie es weitergeht“, klagt eine Anwohnerin.
Er sprach von einer „Zeitenwende“ – und meinte damit die Außenpolitik.
Das Amtsgericht Tübingen verurteilte den Mann wegen Betrugs.
Die Staatsanwaltschaft ermittelt gegen Unbekannt, wie ein Sprecher mitteilte.
Jürgen Klopp kehrt vorerst nicht als Trainer in die Bundesliga zurück.
Der Zoo in Leipzig freut sich über Nachwuchs bei den Löwen.
Ab Montag gilt in der Innenstadt Tempo dreißig.
Die Impfung schützt nach einer Studie der Charité auch vor schweren Verläufen.
Die NATO verstärkt ihre Präsenz im Osten, teilte Jens Stoltenberg mit.
Im Hafen von Bremerhaven liegt das größte Containerschiff der Welt.
Am 24. Dezember 2025 schließen die Geschäfte um 13:30 Uhr.
Rund 4,7 Millionen Euro (plus 8,6 %) flossen 2019 in 56 Projekte.
"""

PERSONS = ["Angela Merkel", "Olaf Scholz", "Jürgen Müller", "Käthe Größler", "Annalena Baerbock"]
PLACES = ["Berlin", "München", "Köln", "Düsseldorf", "Österreich", "Brüssel", "Baden-Württemberg"]
ORGANISATIONS = ["Siemens", "die Deutsche Bahn", "der FC Bayern", "die EU-Kommission", "der Bundestag"]
TOPICS = ["den Haushalt", "die Steuern", "das Urteil", "den Klimaschutz", "die Gesundheit", "das Endspiel"]

PATTERNS = [
    "{person} sprach am {day} in {place} über {topic}.",
    "„{topic} ist wichtig“, sagte {person} ({organisation}) in {place}.",
    "In {place} kritisierte {person} {organisation} wegen {topic}.",
    "{organisation} aus {place} äußerte sich am {day} nicht zu {person}.",
    "»{person}«, hieß es in {place}, »kennt {topic} genau.«",
    "Am {day} reisen {person} und {organisation} gemeinsam nach {place}.",
]
DAYS = ["Montag", "Dienstag", "Donnerstag", "Sonntag"]


def sentences(n_filled: int = 240) -> list[str]:
    """The written sentences, then `n_filled` made from the patterns, always the same."""
    picks = list(itertools.product(PATTERNS, PERSONS, PLACES, ORGANISATIONS))
    chosen = random.Random(11).sample(picks, n_filled)
    filled = [
        pattern.format(
            person=person,
            place=place,
            organisation=organisation,
            topic=TOPICS[i % len(TOPICS)],
            day=DAYS[i % len(DAYS)],
        )
        for i, (pattern, person, place, organisation) in enumerate(chosen)
    ]
    return WRITTEN.splitlines() + filled
