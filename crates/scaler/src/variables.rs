//! Variables of the process's environment, as settings read them.

/// `variable` with blanks around its text taken off; an empty text counts as not given.
pub fn given(variable: impl Fn(&str) -> Option<String>) -> impl Fn(&str) -> Option<String> {
    move |name| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
