//! One connection: from the first byte to the last one.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Broker, ClientError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Packet, PublishOptions,
    QoS, SubscribeReasonCode,
};
use tokio::time::{sleep, sleep_until, timeout};

use super::board::{How, Publish};
use super::command;
use super::connect::{self, Stream};
use super::inbox::Message;
use super::outbox::{Action, MAX_SHARED};
use super::run::Shared;
use super::setup::Setup;
use super::topics::Place;
use super::trouble::Trouble;

/// Seconds between asking a broker that is sent nothing whether it is alive. It takes this program for dead after one and a half of
/// it. The answer may have to wait behind what other cameras share, so it is not less.
const KEEP_ALIVE: u16 = 60;
/// Seconds that a payload of 16 MiB may take to the broker: 0.5 Mbit/s.
const SLOWEST: u64 = 300;
/// Beside a payload, a packet has its topic and a few bytes.
const MAX_PACKET: usize = MAX_SHARED + (64 << 10);
/// How long the goodbye may take, twice.
const GOODBYE: Duration = Duration::from_millis(400);

/// Connects, and goes on until the connection is lost, or until it is to stop. Sets `since` when the broker is there.
pub(super) async fn run(setup: &Setup, shared: &Shared, since: &mut Option<Instant>) -> Result<(), Trouble> {
    let mut stop = shared.stop.subscribe();
    let (client, mut events) = tokio::select! {
        opened = open(setup) => opened?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    *since = Some(Instant::now());
    shared.outbox().connect();
    shared.inbox.say(Message::Connected);
    // Both go on all the time: to begin the library's loop anew whenever there is something to send could cut it in the middle.
    let mut receiving = pin!(receive(&mut events, setup, shared));
    tokio::select! {
        trouble = &mut receiving => return Err(trouble),
        () = send(&client, setup, shared) => {}
        // Sending may be stuck.
        () = async { let _ = stop.wait_for(|stop| *stop).await; sleep(GOODBYE).await } => return Ok(()),
    }
    let _ = timeout(GOODBYE, receiving).await;
    Ok(())
}

/// Connects, up to the broker's word that it takes the connection.
async fn open(setup: &Setup) -> Result<(AsyncClient, EventLoop), Trouble> {
    let stream = connect::connect(setup).await?;
    let options = options(setup, stream);
    // What is not sent yet is to wait on the board, where something newer can take its place.
    let (client, mut events) = AsyncClient::builder(options).capacity(1).build();
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(SLOWEST);
    events.set_network_options(network);
    match timeout(connect::PATIENCE, events.poll()).await {
        Ok(Ok(_)) => Ok((client, events)),
        Ok(Err(error)) => Err(Trouble::before(error)),
        Err(_) => Err(Trouble::Silent),
    }
}

fn options(setup: &Setup, stream: Box<dyn Stream>) -> MqttOptions {
    let topics = &setup.topics;
    let mut options = MqttOptions::new(topics.id(), Broker::tcp(&setup.address.host, setup.address.port));
    options.set_keep_alive(KEEP_ALIVE);
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    // More at once would be more shared payloads in memory.
    options.set_read_batch_size(1);
    options.set_last_will(LastWill::new(topics.own("availability"), "offline", QoS::AtLeastOnce, true));
    if let Some(login) = &setup.login {
        match &login.password {
            Some(password) => options.set_credentials(&login.user, password.clone()),
            None => options.set_username(&login.user),
        };
    }
    // The connection is there already.
    let stream = Mutex::new(Some(stream));
    options.set_socket_connector(move |_, _| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { stream.ok_or_else(|| std::io::Error::other("the connection was used")) }
    });
    options
}

/// Takes what comes, until the connection is lost.
async fn receive(events: &mut EventLoop, setup: &Setup, shared: &Shared) -> Trouble {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => take(&publish, setup, shared).await,
            // Nothing but what is shared is confirmed.
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                shared.outbox().confirm();
                shared.changed.notify_one();
            }
            Ok(Event::Incoming(Packet::SubAck(answer)))
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) =>
            {
                let line = format!(
                    "the broker at {} does not let this user subscribe to commands, or to what is shared; check its access list",
                    setup.address
                );
                shared.inbox.add(Message::Refused(line));
            }
            Ok(_) => {}
            Err(error) => return Trouble::after(error),
        }
    }
}

async fn take(publish: &rumqttc::Publish, setup: &Setup, shared: &Shared) {
    let topic = std::str::from_utf8(&publish.topic).unwrap_or_default();
    match setup.topics.place(topic) {
        // It would be done at each connection anew.
        Some(Place::Command(name)) if publish.retain => {
            let name = command::shown(name);
            shared.inbox.add(Message::BadCommand(format!(
                "`{name}` is retained, and ignored; publish commands without retain"
            )));
        }
        Some(Place::Command(name)) => shared.inbox.add(command::parse(name, &publish.payload)),
        Some(Place::Fleet { group, node }) if node != setup.topics.node() && publish.payload.len() <= MAX_SHARED => {
            shared.inbox.add_shared(group, node, &publish.payload).await;
        }
        Some(Place::Button) if publish.retain && !publish.payload.is_empty() => {
            shared.outbox().find_button(topic);
            shared.changed.notify_one();
        }
        _ => {}
    }
}

/// Sends what there is to send, until it is to stop, and then the goodbye.
async fn send(client: &AsyncClient, setup: &Setup, shared: &Shared) {
    let mut stop = shared.stop.subscribe();
    loop {
        if *stop.borrow_and_update() {
            let topic = setup.topics.own("availability");
            let _ = publish(client, Publish { topic, payload: "offline".into(), how: How::Retained }).await;
            let _ = client.disconnect().await;
            return;
        }
        let action = shared.outbox().next(Instant::now());
        let sent = match action {
            // Once is enough for a press of a button, and twice would be too much: so no command is delivered again.
            Action::Subscribe(filter) => client.subscribe(filter, QoS::AtMostOnce).await,
            Action::Publish(what) => publish(client, what).await,
            Action::Wait(until) => {
                let due = async {
                    match until {
                        Some(until) => sleep_until(until.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = shared.changed.notified() => {}
                    _ = stop.changed() => {}
                    () = due => {}
                }
                Ok(())
            }
        };
        if let Err(ClientError::RequestChannelDisconnected(_)) = sent {
            // The receiving side says why.
            std::future::pending::<()>().await;
        }
    }
}

/// What goes over a connection that stays is there, and after one that is lost all is sent again; so only what is shared is confirmed,
/// to know of brokers that do not want it.
async fn publish(client: &AsyncClient, Publish { topic, payload, how }: Publish) -> Result<(), ClientError> {
    let options = match how {
        How::Retained => PublishOptions::at_most_once().retained(),
        How::Passing => PublishOptions::at_most_once(),
        How::Confirmed => PublishOptions::at_least_once().retained(),
    };
    client.publish(topic, payload, options).await
}
