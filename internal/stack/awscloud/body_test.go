package awscloud

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A body with WriteTo made net/http close the connection under a quick answer.
func TestBodiesAreOnlyRead(t *testing.T) {
	t.Parallel()
	s := middleware.NewStack("test", smithyhttp.NewStackRequest)
	if err := onlyRead(s); err != nil {
		t.Fatal(err)
	}
	var sent string
	handler := middleware.HandlerFunc(func(_ context.Context, in any) (any, middleware.Metadata, error) {
		body := in.(*smithyhttp.Request).Build(t.Context()).Body
		if _, is := body.(io.WriterTo); is {
			t.Error("the body has WriteTo")
		}
		text, err := io.ReadAll(body)
		sent = string(text)
		return nil, middleware.Metadata{}, err
	})
	set := middleware.SerializeMiddlewareFunc("body", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (
		middleware.SerializeOutput, middleware.Metadata, error) {
		req, err := in.Request.(*smithyhttp.Request).SetStream(strings.NewReader("Action=X"))
		if err != nil {
			return middleware.SerializeOutput{}, middleware.Metadata{}, err
		}
		in.Request = req
		return next.HandleSerialize(ctx, in)
	})
	if err := s.Serialize.Add(set, middleware.After); err != nil {
		t.Fatal(err)
	}
	if _, _, err := middleware.DecorateHandler(handler, s).Handle(t.Context(), nil); err != nil || sent != "Action=X" {
		t.Errorf("sent %q, %v", sent, err)
	}
}
