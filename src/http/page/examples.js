// Two articles to try the page with. People, clubs and events are invented.

export const examples = [
  {
    key: "exampleFishing",
    text: `Bund und Länder einigen sich auf Hilfen für die Ostseefischer

Rostock. Nach monatelangem Streit haben sich der Bund und die Küstenländer auf ein Hilfspaket für die Fischerei in der Ostsee verständigt. Bundeslandwirtschaftsministerin Katharina Brandt kündigte am Donnerstag in Rostock an, dass die Betriebe bis 2029 insgesamt 85 Millionen Euro erhalten. „Wer seine Netze ruhen lässt, damit sich der Dorsch erholen kann, darf dafür nicht bestraft werden“, sagte Brandt nach dem Treffen mit den Ministern aus Schleswig-Holstein und Mecklenburg-Vorpommern.

Schwerins Umweltminister Henning Thomsen sprach von einem Durchbruch. Die EU-Kommission in Brüssel hatte die Fangquoten zuletzt zweimal gesenkt, weil der Bestand vor Rügen und Bornholm dramatisch geschrumpft war. Forscherinnen der Universität Kiel machen dafür vor allem das wärmere Wasser und die vielen Nährstoffe aus der Landwirtschaft verantwortlich.

Kritik kam von den Betroffenen. Dem Verband der Küstenfischer gehen die Hilfen nicht weit genug: Von einst 600 Kuttern seien in Mecklenburg-Vorpommern kaum 200 geblieben, sagte die Vorsitzende Anke Petersen. Der WWF begrüßte dagegen, dass das Geld an Schonzeiten geknüpft ist. Thomsen und Petersen wollen sich noch im Juni mit dänischen Fischern in Kopenhagen treffen. Über Brandts Paket muss im Herbst der Bundestag entscheiden.`,
  },
  {
    key: "exampleHandball",
    text: `Mit dem letzten Wurf: Leipzigs Handballerinnen holen den Pokal

Stuttgart. Neun Sekunden waren noch zu spielen, da fasste sich Mara Lindner ein Herz. Aus neun Metern traf die Rückraumspielerin ins obere Eck, und 6.200 Menschen sprangen von ihren Sitzen: Der HC Saale Leipzig hat das Pokalfinale gegen den TV Oberrhein Freiburg mit 28:27 gewonnen.

„Ich habe gar nicht mehr auf die Uhr geschaut“, sagte Lindner, die mit elf Toren beste Werferin des Abends war. Trainerin Sanja Kovač, die früher selbst für Kroatien spielte, lobte vor allem die Abwehr. „Wir haben dieses Spiel schon in der ersten Halbzeit verloren“, räumte Freiburgs Trainer Jonas Weidmann ein.

Für den Verein ist es der erste Titel seit der Insolvenz vor sechs Jahren. Damals zog sich der wichtigste Sponsor, die Nordwerk AG, zurück, und die Spielerinnen trainierten in einer Schulturnhalle in Markkleeberg. Inzwischen tragen 40 kleine Unternehmen den Etat. Oberbürgermeisterin Ulrike Haase will die Mannschaft am Sonntag auf dem Marktplatz empfangen.

Lange feiern kann Lindner nicht: Schon am Dienstag reist die 24-Jährige mit der Nationalmannschaft nach Kopenhagen, wo Deutschland in der Qualifikation zur Europameisterschaft auf Dänemark trifft. Die dänischen Gastgeberinnen gelten als Favorit. „Nach diesem Abend“, sagte Kovač, „traue ich Mara alles zu.“`,
  },
];
