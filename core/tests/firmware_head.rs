//! The head that the firmware carries is what its rows give, to the byte, on every CPU that these tests run on.

#[path = "../examples/fit_rows.rs"]
mod fit_rows;

#[test]
fn the_rows_of_the_firmware_give_the_bytes_of_its_head() {
    let rows = include_bytes!("../../firmware/data/digits.rows");
    let file = fit_rows::fit(rows).expect("sound rows");
    assert!(file == include_bytes!("../../firmware/data/digits.graft"), "make it anew: see firmware/README.md");
}
