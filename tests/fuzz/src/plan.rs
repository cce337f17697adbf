//! Plans: the words that the init decodes, and what `launcher run --plan` reads.

use pod::plan::directives::Plan;

/// Reads a plan in any of its spellings.
///
/// # Panics
///
/// The init and the launcher do not agree on what is a plan, or a plan that was
/// read and written is another one when it is read again.
pub fn plan(bytes: &[u8]) {
    let decoded = stage1_init::Plan::decode(bytes);
    if let Ok(decoded) = &decoded {
        assert!(decoded.directives().count() > 0);
        assert!(Plan::read(bytes).is_ok(), "the init alone takes this plan");
    }
    let Ok(plan) = Plan::read(bytes) else {
        return;
    };
    let words = plan.words();
    assert!(
        stage1_init::Plan::decode(&words).is_ok(),
        "the launcher alone takes this plan"
    );
    let same = |written: &[u8]| Plan::read(written).is_ok_and(|read| read.words() == words);
    assert!(same(&words));
    // JSON, and text without a word for them, have no bytes that are not UTF-8.
    if std::str::from_utf8(&words).is_ok() {
        assert!(same(plan.text().as_bytes()), "text: {}", plan.text());
        assert!(same(plan.json().as_bytes()), "JSON: {}", plan.json());
    }
}
