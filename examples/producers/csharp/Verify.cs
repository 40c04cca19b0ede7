// Checks a callback's signature as Standard Webhooks says, with .NET's own libraries alone (or Mono's).
//
//   mcs -r:System.Net.Http.dll -r:System.Runtime.Serialization.dll Verify.cs   (.NET: in a console project)
//   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… mono Verify.exe < body
//
// The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
// payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
using System;
using System.IO;
using System.Linq;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;
using System.Security.Cryptography;
using System.Text;

[DataContract]
sealed class Event
{
    [DataMember(Name = "type")] public string Type { get; set; }
    [DataMember(Name = "subject")] public string Subject { get; set; }
}

static class Verify
{
    const int ToleranceSeconds = 300;
    static readonly char[] Blank = { ' ' };

    static int Main()
    {
        var stream = new MemoryStream(); // the bytes: JSON that was read and written again has another signature
        Console.OpenStandardInput().CopyTo(stream);
        string wrong;
        try
        {
            wrong = WrongWith(Variable("WEBHOOK_ID"), Variable("WEBHOOK_TIMESTAMP"), Variable("WEBHOOK_SIGNATURE"),
                Variable("CALLBACK_SECRET"), stream.ToArray());
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine($"can't check: {e.Message}"); // answer 500: it comes again
            return 2;
        }
        if (wrong != null)
        {
            Console.Error.WriteLine($"not from payconfirm: {wrong}"); // answer 400
            return 1;
        }
        stream.Position = 0;
        var happened = (Event)new DataContractJsonSerializer(typeof(Event)).ReadObject(stream);
        // drop what comes again (the same webhook-id), answer 204 within 10 s
        Console.WriteLine($"{happened.Type} {happened.Subject}");
        return 0;
    }

    /// <summary>Says why this isn't ours; null where a secret of ours signed exactly this body, and just now.</summary>
    static string WrongWith(string id, string timestamp, string signatures, string secrets, byte[] body)
    {
        var keys = Keys(secrets);
        long seconds;
        if (!long.TryParse(timestamp, out seconds)
            || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - seconds) > ToleranceSeconds)
            return "its timestamp is missing or over five minutes off: it may be a replay";
        var signed = Encoding.UTF8.GetBytes($"{id}.{timestamp}.").Concat(body).ToArray();
        foreach (var key in keys) // several while one is being replaced
        {
            using (var hmac = new HMACSHA256(key))
            {
                var expected = "v1," + Convert.ToBase64String(hmac.ComputeHash(signed));
                if (signatures.Split(Blank).Any(signature => FixedTimeEquals(signature, expected))) return null;
            }
        }
        return "no signature of it is ours";
    }

    /// <summary>Gives the secrets' keys. Without one, or with an empty one, anybody could sign.</summary>
    static byte[][] Keys(string secrets)
    {
        var keys = secrets.Split(Blank, StringSplitOptions.RemoveEmptyEntries).Select(Key).ToArray();
        if (keys.Length == 0) throw new ArgumentException("CALLBACK_SECRET is missing");
        return keys;
    }

    static byte[] Key(string secret)
    {
        var key = new byte[0];
        try
        {
            var encoded = secret.Substring(Math.Min(6, secret.Length));
            key = Convert.FromBase64String(encoded.PadRight((encoded.Length + 3) / 4 * 4, '='));
        }
        catch (FormatException)
        {
            // no base64: said below
        }
        if (!secret.StartsWith("whsec_", StringComparison.Ordinal) || key.Length < 24 || key.Length > 64)
            throw new ArgumentException("each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes");
        return key;
    }

    // .NET has CryptographicOperations.FixedTimeEquals for this; Mono and .NET Framework don't.
    static bool FixedTimeEquals(string one, string other)
    {
        if (one.Length != other.Length) return false;
        var difference = 0;
        for (var i = 0; i < one.Length; i++) difference |= one[i] ^ other[i];
        return difference == 0;
    }

    static string Variable(string name)
    {
        var value = Environment.GetEnvironmentVariable(name);
        if (value == null) throw new ArgumentException(name + " is missing");
        return value;
    }
}
