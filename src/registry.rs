//! The protocols of this program, one line each. Nothing else names a connector.

use crossdock_amqp::Amqp;
use crossdock_config::{Plan, Protocol};
use crossdock_connector::{Column, Connector, GatewayConfig, Settings, StoreTag};
use crossdock_file::FileConnector;
use crossdock_generate::Generate;
use crossdock_http::Http;
use crossdock_kafka::Kafka;
use crossdock_mqtt::Mqtt;
use std::{path::PathBuf, sync::Arc};

/// The protocols that routes may use.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol { description: &crossdock_http::DESCRIPTION, make: |config| Arc::new(Http::new(config)) },
    Protocol { description: &crossdock_amqp::DESCRIPTION, make: |config| Arc::new(Amqp::new(config)) },
    Protocol { description: &crossdock_kafka::DESCRIPTION, make: |config| Arc::new(Kafka::new(config)) },
    Protocol { description: &crossdock_mqtt::DESCRIPTION, make: |config| Arc::new(Mqtt::new(config)) },
    Protocol { description: &crossdock_file::DESCRIPTION, make: |config| Arc::new(FileConnector::new(config)) },
    Protocol { description: &crossdock_generate::DESCRIPTION, make: |config| Arc::new(Generate::new(config)) },
];

/// The connectors of a gateway, one for each protocol, without I/O.
pub fn connectors(plan: &Plan, store: StoreTag) -> Vec<Arc<dyn Connector>> {
    let config: GatewayConfig = plan.connector_config(store);
    PROTOCOLS.iter().map(|protocol| (protocol.make)(&config)).collect()
}

/// What the protocols do with each part of a message, in the order of the list above.
pub fn columns() -> Vec<&'static Column> {
    let config = GatewayConfig {
        http: Settings::default(),
        folder: PathBuf::new(),
        store: StoreTag::default(),
        admin_url: StoreTag::default(),
        state_folder: PathBuf::new(),
    };
    PROTOCOLS.iter().flat_map(|protocol| (protocol.make)(&config).columns()).collect()
}
