//! The table of German cases: mentions in inline markup, and the groups that they make.

use super::{Group, Labels, groups};
use crate::classify::chosen::Types;
use crate::classify::kinds::Kinds;
use crate::inference::decode::entity::Entity;
use crate::manifest::tags::parse_tags;
use crate::text::span::ByteSpan;

/// A text without markup, and its entities.
fn marked(marked: &str) -> (String, Vec<Entity>) {
    let (mut text, mut entities, mut rest) = (String::new(), Vec::new(), marked);
    while let Some((before, after)) = rest.split_once('[') {
        let (mention, after) = after.split_once("](").expect("a label");
        let (label, after) = after.split_once(')').expect("an end");
        text.push_str(before);
        let start = text.len();
        text.push_str(mention);
        entities.push(Entity { label: label.to_owned(), score: 1.0, span: ByteSpan::new(start, text.len()) });
        rest = after;
    }
    (text + rest, entities)
}

fn groups_of(text: &str) -> (Vec<Entity>, String, Vec<Group>) {
    const TYPES: [&str; 12] = [
        "PER", "PERderiv", "PERpart", "LOC", "LOCderiv", "LOCpart", "ORG", "ORGderiv", "ORGpart", "OTH", "OTHderiv",
        "OTHpart",
    ];
    let tags: Vec<String> = TYPES.iter().map(|label| format!("B-{label}")).collect();
    let tags = parse_tags(&tags);
    let (text, entities) = marked(text);
    let labels = Labels { types: Types::of(&tags), kinds: Kinds::default() };
    let found = groups(&text, None, &entities, &labels);
    (entities, text, found)
}

/// Checks the groups in the order of their first mentions, each as `NAME: mention, mention`, with `?` before what it may be.
fn check(marked: &str, expected: &[&str]) {
    let (entities, text, mut found) = groups_of(marked);
    found.sort_by(|a, b| a.mentions.cmp(&b.mentions));
    let shown = |group: &Group| {
        let mentions = group.mentions.iter().map(|index| entities[*index].span.slice(&text).unwrap());
        let may_be = if group.may_be.is_empty() { String::new() } else { format!(" ? {}", group.may_be.join(", ")) };
        format!("{}: {}{may_be}", group.name, mentions.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected, "{marked}");
}

#[test]
fn a_surname_belongs_to_the_full_name_in_any_case_and_order() {
    check(
        "[Wladimir Putin](PER), [Putins](PER), [Putin](PER), [PUTIN](PER)",
        &["Wladimir Putin: Wladimir Putin, Putins, Putin, PUTIN"],
    );
    check("[Putin](PER) reist. [Wladimir Putins](PER) Sprecher", &["Wladimir Putin: Putin, Wladimir Putins"]);
    check("[Wladimir Putins](PER) Sprecher", &["Wladimir Putins: Wladimir Putins"]);
    check(
        "[von der Leyen](PER) und [Ursula von der Leyen](PER), [Leyen](PER)",
        &["Ursula von der Leyen: von der Leyen, Ursula von der Leyen, Leyen"],
    );
    check(
        "[Angela Merkel](PER), [A. Merkel](PER), [Angela D. Merkel](PER), [Angela](PER)",
        &["Angela D. Merkel: Angela Merkel, A. Merkel, Angela D. Merkel, Angela"],
    );
    check(
        "[Annegret Kramp-Karrenbauer](PER), [Kramp-Karrenbauers](PER), [Karrenbauer](PER)",
        &["Annegret Kramp-Karrenbauer: Annegret Kramp-Karrenbauer, Kramp-Karrenbauers", "Karrenbauer: Karrenbauer"],
    );
}

#[test]
fn namesakes_stay_apart_and_their_surname_alone_is_ambiguous() {
    check(
        "[Donald Trump](PER) und [Melania Trump](PER)",
        &["Donald Trump: Donald Trump", "Melania Trump: Melania Trump"],
    );
    check(
        "[Donald Trump](PER) und [Melania Trump](PER). [Trump](PER) und [Trumps](PER)",
        &[
            "Donald Trump: Donald Trump",
            "Melania Trump: Melania Trump",
            "Trump: Trump, Trumps ? Donald Trump, Melania Trump",
        ],
    );
    check(
        "[Donald Trump](PER), [Melania Trump](PER), [Donald](PER), [D. Trump](PER)",
        &["Donald Trump: Donald Trump, Donald, D. Trump", "Melania Trump: Melania Trump"],
    );
    check(
        "[Peter Maier](PER) und [Peter Huber](PER). [Peter](PER)",
        &["Peter Maier: Peter Maier", "Peter Huber: Peter Huber", "Peter: Peter ? Peter Maier, Peter Huber"],
    );
}

#[test]
fn a_longer_name_makes_no_one_person_of_two() {
    check(
        "[Lisa Koch](PER), [Marie Koch](PER), [Lisa Marie Koch](PER)",
        &["Lisa Koch: Lisa Koch", "Marie Koch: Marie Koch", "Lisa Marie Koch: Lisa Marie Koch"],
    );
    check(
        "[Karl Heinz Schmidt](PER), [Heinz Schmidt](PER), [Karl Schmidt](PER)",
        &["Karl Heinz Schmidt: Karl Heinz Schmidt", "Heinz Schmidt: Heinz Schmidt", "Karl Schmidt: Karl Schmidt"],
    );
    check(
        "[Angela Dorothea Merkel](PER), [A. Merkel](PER), [Angela Merkel](PER)",
        &["Angela Dorothea Merkel: Angela Dorothea Merkel, A. Merkel, Angela Merkel"],
    );
    check(
        "[Ursula Gertrud von der Leyen](PER), [Ursula von der Leyen](PER), [von der Leyen](PER)",
        &["Ursula Gertrud von der Leyen: Ursula Gertrud von der Leyen, Ursula von der Leyen, von der Leyen"],
    );
}

#[test]
fn second_first_names_and_initials_that_differ_are_of_two_persons() {
    check(
        "[George W. Bush](PER), [George H. W. Bush](PER), [George Bush](PER)",
        &[
            "George W. Bush: George W. Bush",
            "George H. W. Bush: George H. W. Bush",
            "George Bush: George Bush ? George W. Bush, George H. W. Bush",
        ],
    );
    check(
        "[J. S. Bach](PER), [Johann Sebastian Bach](PER)",
        &["Johann Sebastian Bach: J. S. Bach, Johann Sebastian Bach"],
    );
}

#[test]
fn another_team_of_a_club_is_another_organisation() {
    check(
        "[FC Bayern München](ORG), [FC Bayern München II](ORG), [FC Bayern](ORG), [Hertha BSC](ORG), [Hertha BSC U19](ORG)",
        &[
            "FC Bayern München: FC Bayern München, FC Bayern",
            "FC Bayern München II: FC Bayern München II",
            "Hertha BSC: Hertha BSC",
            "Hertha BSC U19: Hertha BSC U19",
        ],
    );
    check(
        "[FC Bayern München II](ORG), [Bayern München II](ORG)",
        &["FC Bayern München II: FC Bayern München II, Bayern München II"],
    );
    check("[Schalke 04](ORG), [Schalke](ORG)", &["Schalke 04: Schalke 04, Schalke"]);
}

#[test]
fn a_genitive_is_the_nominative_only_where_the_text_has_it() {
    check("[SPD](ORG) und [SPDs](ORG)", &["SPD: SPD, SPDs"]);
    check("[Grass](PER), [Grass'](PER), [Grass’](PER)", &["Grass: Grass, Grass', Grass’"]);
    check("[Marx](PER), [Marx'](PER) und [Merz](PER), [Merz’](PER)", &["Marx: Marx, Marx'", "Merz: Merz, Merz’"]);
    check("[Hans](PER) in [Paris](LOC)", &["Hans: Hans", "Paris: Paris"]);
    check(
        "[Bundestag](ORG), [Bundestags](ORG), [Bundestages](ORG)",
        &["Bundestag: Bundestag, Bundestags, Bundestages"],
    );
    check(
        "[Niederlande](LOC), [Niederlanden](LOC); [Grüne](ORG), [Grünen](ORG)",
        &["Niederlande: Niederlande, Niederlanden", "Grüne: Grüne, Grünen"],
    );
    // A headline in capitals.
    check("[MOSKAUS](LOC) Plan: [Moskau](LOC) hofft", &["Moskau: MOSKAUS, Moskau"]);
}

#[test]
fn a_compound_belongs_to_the_name_before_its_hyphen() {
    check(
        "[USA](LOC), [US-](LOCpart), [US-Beamte](LOCpart), [US-amerikanisch](LOCderiv), [U.S.A.](LOC)",
        &["USA: USA, US-, US-Beamte, US-amerikanisch, U.S.A."],
    );
    check(
        "[Wladimir Putin](PER), [Putin-](PERpart) und [Putin-Vertraute](PERpart)",
        &["Wladimir Putin: Wladimir Putin, Putin-, Putin-Vertraute"],
    );
    check("[Berlin](LOC), [Berlin-Mitte](LOC)", &["Berlin: Berlin", "Berlin-Mitte: Berlin-Mitte"]);
    check(
        "[Bundesligaspiel](ORGpart), [Bundesliga](ORG)",
        &["Bundesligaspiel: Bundesligaspiel", "Bundesliga: Bundesliga"],
    );
}

#[test]
fn derived_words_are_one_by_their_stem_and_no_names() {
    check(
        "[deutsche](LOCderiv), [Deutschen](LOCderiv), [deutsch](LOCderiv), [Deutschland](LOC)",
        &["deutsche: deutsche, Deutschen, deutsch", "Deutschland: Deutschland"],
    );
    check(
        "[deutsche](LOCderiv) und [russischen](LOCderiv) Banken, [Deutsche Bank](ORG), [Dresdner Bank](ORG)",
        &[
            "deutsche: deutsche",
            "russischen: russischen",
            "Deutsche Bank: Deutsche Bank",
            "Dresdner Bank: Dresdner Bank",
        ],
    );
}

#[test]
fn an_abbreviation_belongs_to_the_name_that_it_stands_for() {
    check(
        "[Bundesverfassungsgericht](ORG) ([BVerfG](ORG)), [BVerfG](ORG)",
        &["Bundesverfassungsgericht: Bundesverfassungsgericht, BVerfG, BVerfG"],
    );
    check(
        "[Christlich Demokratische Union](ORG), [CDU](ORG)",
        &["Christlich Demokratische Union: Christlich Demokratische Union, CDU"],
    );
    check(
        "[Europäische Union](ORG), [EU](ORG), [Europäischen Union](ORG), [EU-Staaten](ORGpart)",
        &["Europäische Union: Europäische Union, EU, Europäischen Union, EU-Staaten"],
    );
    check(
        "[Olaf Scholz](PER) ([SPD](ORG)), [Bank](ORG) ([SPD](ORG))",
        &["Olaf Scholz: Olaf Scholz", "SPD: SPD, SPD", "Bank: Bank"],
    );
}

#[test]
fn an_organisation_may_be_called_by_the_start_or_end_of_its_name() {
    check(
        "[FC Bayern München](ORG), [FC Bayern](ORG), [Bayern](ORG), [Bayern](LOC)",
        &["FC Bayern München: FC Bayern München, FC Bayern, Bayern", "Bayern: Bayern"],
    );
    check(
        "[Landgericht Köln](ORG), [Landgerichts Köln](ORG), [Landgericht Bonn](ORG), [Landgericht](ORG)",
        &[
            "Landgericht Köln: Landgericht Köln, Landgerichts Köln",
            "Landgericht Bonn: Landgericht Bonn",
            "Landgericht: Landgericht ? Landgericht Köln, Landgericht Bonn",
        ],
    );
    check(
        "[Der Spiegel](ORG), [Spiegel](ORG), [Siemens AG](ORG), [Siemens](ORG)",
        &["Der Spiegel: Der Spiegel, Spiegel", "Siemens AG: Siemens AG, Siemens"],
    );
    check("[BUND](ORG), [Bund der Steuerzahler](ORG)", &["BUND: BUND", "Bund der Steuerzahler: Bund der Steuerzahler"]);
    check(
        "[SIEMENS](ORG), [Siemens Energy](ORG); [SPD](ORG), [SPD Berlin](ORG)",
        &["Siemens Energy: SIEMENS, Siemens Energy", "SPD Berlin: SPD, SPD Berlin"],
    );
    check("[CDU/CSU](ORG), [CDU](ORG)", &["CDU/CSU: CDU/CSU", "CDU: CDU"]);
    check(
        "[Frankfurt am Main](LOC), [Frankfurt](LOC), [Leipzig Hauptbahnhof](LOC), [Leipzig](LOC)",
        &[
            "Frankfurt am Main: Frankfurt am Main, Frankfurt",
            "Leipzig Hauptbahnhof: Leipzig Hauptbahnhof",
            "Leipzig: Leipzig",
        ],
    );
    check(
        "[Frankfurt (Oder)](LOC), [Frankfurt/Main](LOC), [Frankfurt](LOC)",
        &[
            "Frankfurt (Oder): Frankfurt (Oder)",
            "Frankfurt/Main: Frankfurt/Main",
            "Frankfurt: Frankfurt ? Frankfurt (Oder), Frankfurt/Main",
        ],
    );
}

#[test]
fn titles_umlauts_and_accents_make_no_other_name() {
    check(
        "[Dr. Olaf Scholz](PER), [Bundeskanzler Scholz](PER), [Scholz](PER), [Herr Scholz](PER)",
        &["Dr. Olaf Scholz: Dr. Olaf Scholz, Bundeskanzler Scholz, Scholz, Herr Scholz"],
    );
    check(
        "[Gerd Müller](PER), [Mueller](PER), [Franz Josef Strauß](PER), [Strauss](PER)",
        &["Gerd Müller: Gerd Müller, Mueller", "Franz Josef Strauß: Franz Josef Strauß, Strauss"],
    );
    check(
        "[Firma Krauß](ORG), [Firma Kraus](ORG), [Voß](ORG), [Vos](ORG), [Vos'](ORG), [Walesaṩ](LOC), [Walesa](LOC)",
        &[
            "Firma Krauß: Firma Krauß",
            "Firma Kraus: Firma Kraus",
            "Voß: Voß",
            "Vos: Vos, Vos'",
            "Walesaṩ: Walesaṩ",
            "Walesa: Walesa",
        ],
    );
    check(
        "[Recep Tayyip Erdoğan](PER), [Erdogan](PER), [Mu\u{308}ller](PER), [M&uuml;ller](PER), [Mül\u{ad}ler](PER)",
        &["Recep Tayyip Erdoğan: Recep Tayyip Erdoğan, Erdogan", "Müller: Mu\u{308}ller, M&uuml;ller, Mül\u{ad}ler"],
    );
}

#[test]
fn every_entity_is_in_one_group_and_the_shares_sum_to_one() {
    let (entities, _, found) = groups_of("[Merkel](PER) und [Paris](LOC), [Merkel](PER), [](LOC), [-](LOCpart)");
    let mut mentions: Vec<usize> = found.iter().flat_map(|group| group.mentions.clone()).collect();
    mentions.sort_unstable();
    assert_eq!(mentions, (0..entities.len()).collect::<Vec<_>>());
    assert!((found.iter().map(|group| group.salience).sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!((found[0].name.as_str(), found[0].mentions.len()), ("Merkel", 2));
    assert!(groups_of("").2.is_empty());
}
