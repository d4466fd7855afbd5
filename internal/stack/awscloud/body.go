package awscloud

import (
	"context"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// onlyRead hides WriteTo of request bodies. The SDK closes a body as soon as the
// answer is there, and its WriteTo then returns io.EOF, which net/http takes for
// a failed request and closes the connection under the answer. Servers on the
// same machine are quick enough for that; net/http is content with Read.
func onlyRead(s *middleware.Stack) error {
	return s.Finalize.Add(middleware.FinalizeMiddlewareFunc("OnlyRead", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			if body, ok := req.GetStream().(io.ReadSeeker); ok {
				plain, err := req.SetStream(struct{ io.ReadSeeker }{body})
				if err != nil {
					return middleware.FinalizeOutput{}, middleware.Metadata{}, err
				}
				in.Request = plain
			}
		}
		return next.HandleFinalize(ctx, in)
	}), middleware.After)
}
