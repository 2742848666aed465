package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
)

func (p *Program) consentsCommand() *cobra.Command {
	return group("consents", "Import, authorize, renew, list, show, revoke, restore and sync consents, and accept their ends",
		p.consentsImportCommand(), p.consentsAuthorizeCommand(), p.consentsRenewCommand(), p.consentsListCommand(),
		p.consentsShowCommand(),
		p.consentsRevokeCommand(), p.consentsRestoreCommand(),
		p.consentsAcceptEndsCommand(), p.consentsSyncCommand())
}

// findConsent finds a consent as the command line names it.
func findConsent(ctx context.Context, inst *app.Installation, connection, name string) (finance.Consent, error) {
	c, err := inst.FindConsent(ctx, connection, name)
	if errors.Is(err, app.ErrConsentName) {
		return c, usageError{err}
	}
	return c, err
}
