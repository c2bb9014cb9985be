//! Which dead letters are meant: `--filter route=orders-to-erp,code=http.422`, and ids.

use crate::cli::exit::Failure;
use clap::Args;
use crossdock_admin::shape::RedriveFilter;

/// Which dead letters are meant; without any condition all are.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// Only those that match: route=ROUTE, code=CODE, id=ID; several conditions must all hold
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    filter: Vec<String>,
}

impl Filter {
    /// The API's filter, with further ids.
    ///
    /// # Errors
    /// A condition is none, or names a route or code twice.
    pub fn read(&self, ids: &[String]) -> Result<RedriveFilter, Failure> {
        let (mut filter, mut ids) = (RedriveFilter::default(), ids.to_vec());
        for condition in &self.filter {
            match condition.split_once('=') {
                Some(("route", route)) => once(&mut filter.route, "route", route)?,
                Some(("code", code)) => once(&mut filter.code, "code", code)?,
                Some(("id", id)) => ids.push(id.to_owned()),
                Some(_) | None => {
                    let text = format!("`{condition}` is no condition; write route=ROUTE, code=CODE or id=ID");
                    return Err(Failure::usage(text));
                }
            }
        }
        filter.ids = (!ids.is_empty()).then_some(ids);
        Ok(filter)
    }

    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        self.filter.is_empty()
    }
}

fn once(place: &mut Option<String>, name: &str, value: &str) -> Result<(), Failure> {
    if place.replace(value.to_owned()).is_some() {
        return Err(Failure::usage(format!("the filter names {name} twice; redrive them one after the other")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(conditions: &[&str], ids: &[&str], read: Result<(Option<&str>, Option<&str>, usize), &str>) {
        let filter = Filter { filter: conditions.iter().map(|c| (*c).to_owned()).collect() };
        let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        let found = filter.read(&ids);
        match (&found, read) {
            (Ok(f), Ok(want)) => {
                assert_eq!((f.route.as_deref(), f.code.as_deref(), f.ids.as_ref().map_or(0, Vec::len)), want);
            }
            (Err(failure), Err(part)) => assert!(failure.text.contains(part), "{}", failure.text),
            (found, want) => panic!("{found:?} and not {want:?}"),
        }
    }

    #[test]
    fn conditions_are_read() {
        check(&[], &[], Ok((None, None, 0)));
        check(&["route=a", "code=http.422"], &[], Ok((Some("a"), Some("http.422"), 0)));
        check(&["id=1"], &["2"], Ok((None, None, 2)));
        check(&["route=a", "route=b"], &[], Err("twice"));
        check(&["colour=red"], &[], Err("is no condition"));
        check(&["route"], &[], Err("is no condition"));
    }
}
