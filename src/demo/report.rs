//! What the demo says at its end.

use super::{account::Account, stage::Stage};
use crate::cli::{Cell, Column, Failure, Paint, Table, Tone, data};
use std::path::Path;

/// Prints the account.
///
/// # Errors
/// It cannot be written.
pub fn print(account: &Account, paint: Paint) -> Result<(), Failure> {
    let retried = account.retried();
    let mut text = section("What became of the orders", &routes(account), paint);
    text += &section("What the partners have seen", &partners(account), paint);
    text +=
        &format!("  {retried} requests were refused with 503 while the carrier was down, and retried by themselves.\n");
    text += &section("Dead letters, by cause", &dead(account), paint);
    text += &format!("\n{}\n", paint.text(Tone::Strong, "The account"));
    for (what, right) in &account.checks {
        let mark = if *right { paint.text(Tone::Good, "right") } else { paint.text(Tone::Bad, "WRONG") };
        text += &format!("  {mark}  {what}\n");
    }
    data(&text)
}

/// Prints what to do next with the gateway, which goes on.
///
/// # Errors
/// It cannot be written.
pub fn next(stage: &Stage, paint: Paint) -> Result<(), Failure> {
    let program = program();
    let (admin, token) = (format!("http://{}", stage.admin()), stage.token_file().display().to_string());
    let operate = format!("--admin {admin} --token-file {token}");
    let sample = stage.routes_file().display().to_string();
    let commands = [
        ("what it is doing", format!("{program} status {operate}")),
        ("what stands where", format!("{program} queues {operate}")),
        ("why orders are dead", format!("{program} dead ls {operate}")),
        ("send them back: the ERP system knows these customers by now", format!("{program} dead redrive {operate}")),
        ("what a route does, in words", format!("{program} explain orders-to-partners -c {sample}")),
        ("all figures, for Prometheus", format!("curl -s {admin}/metrics")),
    ];
    let mut text = format!("\n{}\n", paint.text(Tone::Strong, "The gateway goes on; type, in another terminal"));
    for (what, command) in commands {
        text += &format!("  {}\n  {command}\n", paint.text(Tone::Faint, &format!("# {what}")));
    }
    text += &format!("\nOrders at http://{}/orders, admin API at {admin}/api/v1. Ctrl-C ends the demo.\n", stage.door);
    data(&text)
}

fn section(title: &str, table: &Table, paint: Paint) -> String {
    let rows: String = table.render(paint).lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{}\n{rows}", paint.text(Tone::Strong, title))
}

fn routes(account: &Account) -> Table {
    let numbers = ["RECEIVED", "DELIVERED", "FILTERED", "REFUSED", "DEAD", "STORED"].map(Column::number);
    let mut table = Table::new([[Column::text("ROUTE")].as_slice(), numbers.as_slice()].concat());
    for (route, c) in &account.routes {
        let numbers = [c.received, c.delivered, c.filtered, c.refused, c.dead, c.stored].map(Cell::from);
        table.row([[Cell::from(route)].as_slice(), numbers.as_slice()].concat());
    }
    table
}

fn partners(account: &Account) -> Table {
    let numbers = ["REQUESTS", "TOOK", "REFUSED", "WHILE DOWN"].map(Column::number);
    let mut table = Table::new([[Column::text("PARTNER")].as_slice(), numbers.as_slice()].concat());
    for (name, ledger) in &account.partners {
        let numbers = [ledger.requests, ledger.took.len(), ledger.refused, ledger.down].map(Cell::from);
        table.row([[Cell::from(name)].as_slice(), numbers.as_slice()].concat());
    }
    table
}

fn dead(account: &Account) -> Table {
    let mut table = Table::new([
        Column::number("COUNT"),
        Column::text("ROUTE"),
        Column::text("TARGET"),
        Column::text("CODE"),
        Column::text("CAUSE"),
    ]);
    for group in &account.dead {
        let target = group.target.as_deref().unwrap_or("-");
        table.row([
            group.count.into(),
            (&group.route).into(),
            target.into(),
            (&group.code).into(),
            (&group.text).into(),
        ]);
    }
    table
}

/// This program as the user would type it: from where he stands, if that is shorter.
fn program() -> String {
    let (Ok(program), Ok(here)) = (std::env::current_exe(), std::env::current_dir()) else {
        return "crossdock".into();
    };
    program.strip_prefix(&here).map_or_else(|_| program.display().to_string(), |path: &Path| path.display().to_string())
}
