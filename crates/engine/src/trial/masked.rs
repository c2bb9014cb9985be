//! A trial as it is shown: without what was substituted for `${env:…}` and `${file:…}`.

use super::{Sent, Trial, TrialEnd};
use bytes::Bytes;
use crossdock_config::Scrubber;
use crossdock_model::Text;
use crossdock_rules::{Change, StepOutcome, StepTrace};

pub(super) fn trial(trial: Trial, scrubber: &Scrubber) -> Trial {
    let steps = trial.steps.into_iter().map(|seen| step(seen, scrubber)).collect();
    Trial { steps, end: end(trial.end, scrubber), ..trial }
}

fn step(step: StepTrace, scrubber: &Scrubber) -> StepTrace {
    let outcome = match step.outcome {
        StepOutcome::Failed(fault) => StepOutcome::Failed(scrubber.fault(fault)),
        outcome @ (StepOutcome::Passed | StepOutcome::Filtered) => outcome,
    };
    let value = |value: Option<Text>| value.map(|value| scrubber.text(value));
    let changes = step.changes.into_iter().map(|change| Change {
        at: scrubber.text(change.at),
        before: value(change.before),
        after: value(change.after),
    });
    StepTrace { changes: changes.collect(), outcome, ..step }
}

fn end(end: TrialEnd, scrubber: &Scrubber) -> TrialEnd {
    match end {
        TrialEnd::Refused(refusal) => TrialEnd::Refused(scrubber.refusal(refusal)),
        TrialEnd::Dead(fault) => TrialEnd::Dead(scrubber.fault(fault)),
        TrialEnd::Sent { payload, targets } => {
            let targets = targets.into_iter().map(|(name, result)| {
                let result = result.map(|sent| self::sent(sent, scrubber)).map_err(|fault| scrubber.fault(fault));
                (name, result)
            });
            TrialEnd::Sent { payload: payload.map(|bytes| payload_of(bytes, scrubber)), targets: targets.collect() }
        }
        end @ (TrialEnd::Filtered { .. } | TrialEnd::Expired { .. }) => end,
    }
}

fn sent(sent: Sent, scrubber: &Scrubber) -> Sent {
    let headers = sent.headers.into_iter().map(|(name, value)| (name, scrubber.text(value)));
    Sent { act: scrubber.text(sent.act), headers: headers.collect(), ..sent }
}

/// Only what is text can hold a text.
fn payload_of(bytes: Bytes, scrubber: &Scrubber) -> Bytes {
    Text::try_from(bytes.clone()).map_or(bytes, |text| scrubber.text(text).into_bytes())
}
