use super::*;

fn parse(pairs: &[(&str, &str)]) -> Result<Annotations, Error> {
    let map = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Annotations::parse(Some(&map))
}

#[test]
fn no_annotations_ask_for_nothing() {
    assert_eq!(Annotations::parse(None), Ok(Annotations::default()));
    assert_eq!(parse(&[("team", "paused")]), Ok(Annotations::default()));
    assert!(!Annotations::default().any());
}

#[test]
fn booleans_are_gos_words_and_everything_else_is_true() {
    for word in ["1", "t", "T", "TRUE", "true", "True", "", "yes", "no", "off", " false", "tRuE"] {
        assert!(parse(&[(keys::PAUSED, word)]).unwrap().full, "{word:?}");
    }
    for word in ["0", "f", "F", "FALSE", "false", "False"] {
        assert!(!parse(&[(keys::PAUSED, word)]).unwrap().full, "{word:?}");
    }
}

#[test]
fn each_annotation_sets_its_own_member() {
    let on = |key| parse(&[(key, "true")]).unwrap();
    assert_eq!(on(keys::PAUSED_SCALE_IN), Annotations { scale_in: true, ..Annotations::default() });
    assert_eq!(on(keys::PAUSED_SCALE_OUT), Annotations { scale_out: true, ..Annotations::default() });
    assert_eq!(on(keys::FORCE_ACTIVATION), Annotations { force_activation: true, ..Annotations::default() });
    assert!(on(keys::PAUSED_SCALE_IN).any() && !on(keys::FORCE_ACTIVATION).any());
}

#[test]
fn paused_replicas_pause_even_beside_a_false_pause() {
    let paused = parse(&[(keys::PAUSED_REPLICAS, "4"), (keys::PAUSED, "false")]).unwrap();
    assert_eq!(paused, Annotations { full: true, paused_replicas: Some(4), ..Annotations::default() });
    assert_eq!(parse(&[(keys::PAUSED_REPLICAS, "0")]).unwrap().paused_replicas, Some(0));
}

#[test]
fn unreadable_paused_replicas_are_an_error_and_still_a_pause() {
    for (text, reason) in [
        ("", "invalid syntax"),
        ("four", "invalid syntax"),
        ("4.0", "invalid syntax"),
        ("99999999999", "value out of range"),
        ("-1", "value out of range"),
    ] {
        let error = parse(&[(keys::PAUSED_REPLICAS, text), (keys::PAUSED_SCALE_IN, "true")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to parse paused replica count: strconv.ParseInt: parsing \"{text}\": {reason}")
        );
        assert!(error.annotations().full && error.annotations().scale_in);
        assert_eq!(error.annotations().paused_replicas, None);
    }
}
