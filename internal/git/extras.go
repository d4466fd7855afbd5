package git

import "context"

func (r *Remote) extras(ctx context.Context, c Resolved, dst string, o CheckoutOptions) error {
	return nil
}
