#!/bin/sh
# Let a gateway in: admit.sh gw-0001. RabbitMQ knows nobody by his certificate alone.
# NOT SHOWN YET: see README.md.
set -eu
name=$1
echo "$name" | grep -Eqx '[a-z0-9-]{3,64}' || { echo "$name is no name of a gateway" >&2; exit 2; }
queues="mqtt-(subscription-${name}qos[01]|will-${name})"
# the password is one that nobody has: only the certificate counts
rabbitmqctl add_user "$name" "$(head -c 32 /dev/urandom | base64)"
rabbitmqctl clear_password "$name"
rabbitmqctl set_permissions "$name" "^${queues}\$" "^(amq\\.topic|${queues})\$" "^(amq\\.topic|${queues})\$"
# topics have dots here where MQTT has slashes
rabbitmqctl set_topic_permissions "$name" amq.topic \
    "^kerbstone\\.v1\\.[^.]+\\.${name}\\.up\\..+\$" "^kerbstone\\.v1\\.[^.]+\\.${name}\\.down\\..+\$"
