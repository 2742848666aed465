-- +goose Up

-- flights: the calls that are on their way over connections whose calls are counted over all processes (max_in_flight of the
-- configuration). A call of a batch counts while its worker lives and has the batch; any other one until its time is over.
CREATE TABLE flights (
    call_id    uuid PRIMARY KEY,
    connection text        NOT NULL,
    batch_id   bigint,
    fence      bigint,
    until      timestamptz NOT NULL
);
CREATE INDEX flights_of_connection ON flights (connection);
