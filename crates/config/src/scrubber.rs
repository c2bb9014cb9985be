//! Takes substituted values out of texts that are made while the gateway runs: expressions, addresses and headers hold
//! them, and so does what is told of these.

use crate::substitute::MASK;
use crossdock_model::{Fault, Refusal, Text, uri};
use percent_encoding::utf8_percent_encode;
use std::{cmp::Reverse, fmt, sync::Arc};

/// Secrets shorter than this are not looked for: they would be found in the middle of words.
const SCRUBBED_BYTES_MIN: usize = 6;

/// What ends a text that was cut to what is kept of it.
const CUT: char = '…';

/// Knows the values that were put in for `${env:…}` and `${file:…}`. Without any it does nothing; a clone is the same one.
#[derive(Clone, Default)]
pub struct Scrubber(Arc<[String]>);

impl Scrubber {
    pub(crate) fn new(values: &[String]) -> Self {
        let mut forms: Vec<String> = values.iter().flat_map(|value| forms(value)).collect();
        forms.retain(|form| form.len() >= SCRUBBED_BYTES_MIN);
        // The longest first: of one that holds another nothing is to be left.
        forms.sort_unstable_by(|a, b| (Reverse(a.len()), a).cmp(&(Reverse(b.len()), b)));
        forms.dedup();
        Self(forms.into())
    }

    /// A text without the values.
    #[must_use]
    pub fn text(&self, text: Text) -> Text {
        self.scrubbed(&text).map_or(text, Text::from)
    }

    /// The same of a message of ours.
    pub(crate) fn string(&self, text: String) -> String {
        self.scrubbed(&text).unwrap_or(text)
    }

    /// A fault without the values.
    #[must_use]
    pub fn fault(&self, mut fault: Fault) -> Fault {
        fault.text = self.text(std::mem::take(&mut fault.text));
        fault
    }

    /// A refusal without the values.
    #[must_use]
    pub fn refusal(&self, mut refusal: Refusal) -> Refusal {
        for violation in &mut refusal.violations {
            violation.message = self.text(std::mem::take(&mut violation.message));
        }
        Refusal { fault: self.fault(refusal.fault), ..refusal }
    }

    /// What is left of a text; none if it holds none of the values.
    fn scrubbed(&self, text: &str) -> Option<String> {
        let mut out = None::<String>;
        for form in &*self.0 {
            let now = out.as_deref().unwrap_or(text);
            if now.contains(form.as_str()) {
                out = Some(now.replace(form.as_str(), MASK));
            }
        }
        let now = out.as_deref().unwrap_or(text);
        self.beheaded(now).or(out)
    }

    /// A text without the first part of a value at which it was cut.
    fn beheaded(&self, text: &str) -> Option<String> {
        let kept = text.strip_suffix(CUT)?;
        let part = |form: &String| {
            let lengths = (SCRUBBED_BYTES_MIN..form.len()).rev();
            lengths.filter_map(|length| form.get(..length)).find_map(|part| kept.strip_suffix(part))
        };
        self.0.iter().find_map(part).map(|kept| format!("{kept}{MASK}{CUT}"))
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scrubber({} forms)", self.0.len())
    }
}

/// A value as it may stand in a text: as it is, quoted, each of its lines alone, in a path, and as the base of a URL, which
/// is shown without its user.
fn forms(value: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(value).to_string();
    let mut forms = vec![value.to_owned(), quoted.trim_matches('"').to_owned()];
    forms.extend(value.lines().map(|line| line.trim().to_owned()));
    forms.extend([uri::TYPED, uri::SEGMENT].map(|set| utf8_percent_encode(value, set).to_string()));
    if let Some((scheme, rest)) = value.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        forms.push(format!("{scheme}://{host}{}", path.trim_end_matches('/')));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], text: &str, shown: &str) {
        let values: Vec<_> = values.iter().map(|&value| value.to_owned()).collect();
        assert_eq!(Scrubber::new(&values).string(text.to_owned()), shown);
    }

    #[test]
    fn long_values_leave_texts() {
        check(&["s3cret-value", "ab"], "cannot use s3cret-value, about", "cannot use ***, about");
        check(&[], "cannot use s3cret-value…", "cannot use s3cret-value…");
        check(&["s3cret", "s3cret-value"], "s3cret-value and s3cret", "*** and ***");
    }

    #[test]
    fn values_leave_texts_in_other_forms() {
        check(&["to\"p\\secret"], r#"unable to coerce "to\"p\\secret""#, r#"unable to coerce "***""#);
        check(&["first line\nsecond line"], "`.a == \"first line …", "`.a == \"*** …");
        check(&["a secret/ü"], "PUT http://h/a%20secret/%C3%BC and a%20secret%2F%C3%BC", "PUT http://h/*** and ***");
        check(&["http://user:word@h:1/api/"], "PUT http://h:1/api/orders", "PUT ***/orders");
    }

    #[test]
    fn values_leave_texts_that_were_cut_in_their_middle() {
        check(&["s3cret-value"], "cannot use s3cret-v…", "cannot use ***…");
        check(&["s3cret-value"], "cannot use s3c…", "cannot use s3c…");
    }

    #[test]
    fn faults_and_refusals() {
        let scrubber = Scrubber::new(&["s3cret-value".to_owned()]);
        let fault = Fault::rejected("expression", "`s3cret-value` failed").in_step("steps[0] filter");
        let scrubbed = Fault::rejected("expression", "`***` failed").in_step("steps[0] filter");
        assert_eq!(scrubber.fault(fault), scrubbed);
        assert_eq!(format!("{scrubber:?}"), "Scrubber(1 forms)");
    }
}
