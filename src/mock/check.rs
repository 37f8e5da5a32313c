//! Strict checks of a message against the data model.

use crate::message::{InvalidMessage, Problems, PushSlots};
use crate::text::is_blank;

/// The maximum number of destinations of a message, because the response names each of them.
pub(super) const MOST_DESTINATIONS: usize = 1_000;

/// Parses a message and checks it strictly.
///
/// # Errors
///
/// Returns every problem with the message. This crate's parser accepts some values that the
/// service's schema doesn't allow, such as a number given as text. They are problems here.
pub(super) fn read(body: &[u8], accepts_warnings: bool) -> Result<PushSlots, Vec<String>> {
    let message = PushSlots::from_json(body).map_err(|error| vec![error.to_string()])?;
    if message.meta().destinations.len() > MOST_DESTINATIONS {
        return Err(vec![format!(
            "Meta.Destinations: more than {MOST_DESTINATIONS}, which the mock doesn't take"
        )]);
    }
    let problems = || if accepts_warnings { Problems::of_errors() } else { Problems::default() };
    let mut found = problems();
    message.check(&mut found);
    found.into_result().map_err(|invalid| texts(&invalid))?;
    // JSON that this crate writes follows the schema, except for members of `Meta` that only the
    // schema names.
    if message.meta().unread_members().next().is_some() || body != message.to_json() {
        let body = String::from_utf8_lossy(body);
        let body = body.strip_prefix('\u{feff}').unwrap_or(&body);
        let mut found = problems();
        PushSlots::judge(body.trim_matches(is_blank), &mut found);
        found.into_result().map_err(|invalid| texts(&invalid))?;
    }
    Ok(message)
}

fn texts(invalid: &InvalidMessage) -> Vec<String> {
    let omitted = Some(invalid.omitted()).filter(|omitted| *omitted > 0);
    let problems = invalid.problems().iter().map(ToString::to_string);
    problems.chain(omitted.map(|omitted| format!("and {omitted} more"))).collect()
}
