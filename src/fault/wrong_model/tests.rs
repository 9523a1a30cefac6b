//! The other model is named in every chunk.

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate},
        text_testing::{PROSE, changed, even, fault, piece, run, whole, wrong},
    },
    wire::Moment,
};

#[test]
fn every_chunk_names_it() {
    let fault = fault("{ wrong-model: { to: big } }");
    let ran = run(&fault, 1, 1.0, even(PROSE, 5)).unwrap();
    let names = ran.joined(Role::Model);
    assert_eq!(names, "big".repeat(names.len() / 3));
    assert_eq!((ran.edited.changed, ran.joined(Role::Text).as_str()), (names.len() / 3, PROSE));
    let ran = run(&fault, 1, 1.0, vec![piece(Moment::Whole, &[])]).unwrap();
    assert_eq!(ran.edited.unfit, Some(NO_MODEL));
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ wrong-model: { to: big, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole("a b")), 3_000, rate);
    }
    assert_page("wrong-model");
    assert_eq!(fault.describe(), "20% of answers names big");
    assert_eq!(wrong("{ wrong-model: { to: '' } }"), ["a model has a name"]);
}
